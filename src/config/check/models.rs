//! Rules about models across pipelines: a question must be embedded like the passages it is compared with.

use super::Findings;
use crate::config::model::{Config, Kind};

pub fn check(config: &Config, found: &mut Findings) {
    let kinds = || config.pipelines.values().flat_map(|p| p.stages.iter().map(|s| &s.kind));
    let filled_with: Vec<&str> =
        kinds().filter_map(|k| if let Kind::Embed(e) = k { Some(e.model.as_str()) } else { None }).collect();
    if filled_with.is_empty() {
        return;
    }
    for (name, pipeline) in &config.pipelines {
        for (n, stage) in pipeline.stages.iter().enumerate() {
            let Kind::Retrieve(retrieve) = &stage.kind else { continue };
            if !filled_with.contains(&retrieve.model.as_str()) {
                found.warning(
                    format!("pipelines.{name}.stages[{n}].kind.retrieve.model"),
                    format!(
                        "questions are embedded with '{}', but passages with '{}': they cannot be compared",
                        retrieve.model,
                        filled_with.join("', '")
                    ),
                    "use the same model in 'embed' and 'retrieve', unless another system fills the index",
                );
            }
        }
    }
}
