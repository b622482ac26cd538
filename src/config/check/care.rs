//! Rules about what people need to look after dead letters: by when, and where links lead to.

use super::Findings;
use super::connections::url;
use crate::config::model::{Config, FourEyes, Links, Sla};
use crate::config::suggest;
use crate::config::template::{BadTemplate, check as check_template};

pub fn check(config: &Config, found: &mut Findings) {
    for (name, pipeline) in &config.pipelines {
        let path = format!("pipelines.{name}");
        sla(pipeline.sla, &path, found);
        for (n, stage) in pipeline.stages.iter().enumerate() {
            sla(stage.sla, &format!("{path}.stages[{n}]"), found);
        }
    }
    if config.quarantine.four_eyes.is_some_and(|four_eyes| four_eyes == FourEyes::default()) {
        let hint = "write how many one person may send back, such as 'letters: 1000', or 'edited: true', or leave it out";
        found.error("quarantine.four_eyes", "nothing would need another person", hint);
    }
    for (name, template) in config.quarantine.links.given() {
        link(template, &format!("quarantine.links.{name}"), found);
    }
}

fn sla(sla: Option<Sla>, path: &str, found: &mut Findings) {
    let Some(Sla { look, resolve }) = sla else { return };
    if look.is_none() && resolve.is_none() {
        let hint = "write a duration such as 4h, or '{ look: 4h, resolve: 2d }', or leave it out";
        found.error(format!("{path}.sla"), "no time is given", hint);
    }
    for (name, span) in [("look", look), ("resolve", resolve)] {
        if let Some(span) = span {
            found.not_zero(&format!("{path}.sla.{name}"), span);
        }
    }
    if let (Some(look), Some(resolve)) = (look, resolve)
        && resolve < look
    {
        let message = format!("a dead letter is to be over after {resolve}, and looked at only after {look}");
        found.error(format!("{path}.sla.resolve"), message, "make 'resolve' at least as long as 'look'");
    }
}

fn link(template: &str, path: &str, found: &mut Findings) {
    match check_template(template, &Links::PLACEHOLDERS) {
        Err(BadTemplate::Unknown(name)) => {
            let hint = suggest::hint(&name, "known are", Links::PLACEHOLDERS);
            found.error(path, format!("there is no placeholder '{{{name}}}'"), hint);
        }
        Err(BadTemplate::Brace) => found.error(
            path,
            "a brace stands here that belongs to no placeholder",
            "write placeholders like {job_id}, and a brace of the URL itself as %7B or %7D",
        ),
        Ok(()) => url(template, path, found),
    }
}
