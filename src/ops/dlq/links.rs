//! Where a dead letter leads to outside of Lazaret: its log lines, its trace. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::config::template::fill;
use crate::quarantine::Entry;

/// Log lines are looked for from so long before the first failure until so long after the last one.
const MARGIN: Duration = Duration::from_secs(300);

/// The links that the configuration has templates for and the letter has values for, by name.
pub fn links(config: &Config, entry: &Entry) -> BTreeMap<&'static str, String> {
    let filled = config.quarantine.links.given().filter_map(|(name, template)| {
        let url = fill(template, |name| value(entry, name))?;
        Some((name, url))
    });
    filled.collect()
}

/// One for each of `config::Links::PLACEHOLDERS`.
fn value(entry: &Entry, name: &str) -> Option<String> {
    let from = || entry.first_failure.saturating_sub(MARGIN).ok();
    let to = || entry.last_failure.saturating_add(MARGIN).ok();
    let text = |time: Timestamp| format!("{time:.3}");
    let value = match name {
        "id" => entry.id.clone(),
        "job_id" => entry.job.clone(),
        "tenant_id" => entry.tenant.clone()?,
        "resource_id" => entry.resource.clone()?,
        "trace_id" => entry.trace.clone()?,
        "pipeline" => entry.pipeline.clone(),
        "stage" => entry.stage.clone(),
        "code" => entry.code.clone(),
        "from" => text(from()?),
        "to" => text(to()?),
        "from_ms" => from()?.as_millisecond().to_string(),
        "to_ms" => to()?.as_millisecond().to_string(),
        _ => return None,
    };
    Some(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Links;
    use crate::ops::dlq::fixture::entry;

    #[test]
    fn every_placeholder_of_a_letter_that_has_everything_is_filled_in() {
        let entry = entry("j/1", "parse.corrupt", 60);
        for name in Links::PLACEHOLDERS {
            assert!(value(&entry, name).is_some(), "{name}");
        }
        assert_eq!(value(&entry, "from").as_deref(), Some("2027-01-15T07:55:00.000Z"));
        assert_eq!(value(&entry, "to_ms").as_deref(), Some("1800000360000"));
    }

    #[test]
    fn a_link_that_needs_what_a_letter_has_not_is_left_out() {
        let yaml = "version: 1
kafka: { bootstrap: 'localhost:9092' }
quarantine: { links: { logs: 'https://h/?j={job_id}', trace: 'https://h/{trace_id}' } }
pipelines: {}
";
        let config: Config = serde_saphyr::from_str(yaml).expect("a configuration");
        let known = entry("j/1", "parse.corrupt", 60);
        let all = links(&config, &known);
        assert_eq!(all["logs"], "https://h/?j=j%2F1");
        assert_eq!(all["trace"], format!("https://h/{}", known.trace.clone().expect("a trace")));
        let bare = Entry { trace: None, ..known };
        assert_eq!(links(&config, &bare).into_keys().collect::<Vec<_>>(), ["logs"]);
    }
}
