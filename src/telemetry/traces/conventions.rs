//! The names of what spans carry: those of OpenTelemetry's conventions, and our own where it has none. They stand here and
//! nowhere else.
//!
//! Messaging conventions are in motion. Version 1.44 is what backends know, and 1.45 gave some attributes other names;
//! `OTEL_SEMCONV_STABILITY_OPT_IN` says which are written. Those of generative AI are written as of version 1.40, whether
//! `gen_ai_latest_experimental` is asked for or not: there is no older version of ours that somebody could hang on to.

use opentelemetry::{Key, KeyValue, Value};

/// Which names are written, separated by commas: `messaging`, `messaging/dup`.
pub const OPT_IN: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

pub const OPERATION_NAME: &str = "messaging.operation.name";
pub const OPERATION_TYPE: &str = "messaging.operation.type";
pub const DESTINATION: &str = "messaging.destination.name";
pub const PARTITION: &str = "messaging.destination.partition.id";
pub const GROUP: &str = "messaging.consumer.group.name";
pub const BODY_SIZE: &str = "messaging.message.body.size";
pub const ERROR_TYPE: &str = "error.type";

pub const GEN_AI_OPERATION: &str = "gen_ai.operation.name";
pub const GEN_AI_PROVIDER: &str = "gen_ai.provider.name";
pub const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
pub const GEN_AI_RESPONSE_MODEL: &str = "gen_ai.response.model";
pub const GEN_AI_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub const GEN_AI_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub const GEN_AI_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub const HTTP_STATUS: &str = "http.response.status_code";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";

/// Ours. Dead letters, retries and redrives have no convention, and nothing of ours goes into `messaging.*`.
pub const PIPELINE: &str = "lazaret.pipeline";
pub const STAGE: &str = "lazaret.stage";
pub const JOB_ID: &str = "lazaret.job_id";
pub const TENANT_ID: &str = "lazaret.tenant_id";
pub const RESOURCE_ID: &str = "lazaret.resource_id";
pub const ATTEMPT: &str = "lazaret.attempt";
pub const REDRIVES: &str = "lazaret.redrives";
pub const OUTCOME: &str = "lazaret.outcome";
pub const REPLAYED: &str = "lazaret.replayed";
pub const ERROR_CLASS: &str = "lazaret.error.class";
pub const RETRY_DUE: &str = "lazaret.retry.due_at";
pub const DLQ_ID: &str = "lazaret.dlq_id";
pub const LINK: &str = "lazaret.link";
pub const PROVIDER: &str = "lazaret.provider";
pub const PURPOSE: &str = "lazaret.purpose";

/// Which names of the messaging conventions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Those of version 1.44.
    #[default]
    Known,
    /// Those of version 1.45, where they differ.
    New,
    /// Both, for as long as queries are moved from one to the other.
    Both,
}

/// An attribute that has had two names.
#[derive(Clone, Copy)]
pub struct Renamed {
    known: &'static str,
    new: &'static str,
}

pub const SYSTEM: Renamed = Renamed { known: "messaging.system", new: "messaging.system.name" };
pub const OFFSET: Renamed = Renamed { known: "messaging.kafka.offset", new: "kafka.offset" };
pub const TOMBSTONE: Renamed =
    Renamed { known: "messaging.kafka.message.tombstone", new: "kafka.message.tombstone" };

impl Names {
    /// What the variable asks for. Words about other conventions are not for us.
    pub fn of(opt_in: &str) -> Self {
        let mut words = opt_in.split(',').map(str::trim);
        // The conventions say that this one wins.
        if words.clone().any(|word| word == "messaging/dup") {
            Names::Both
        } else if words.any(|word| word == "messaging") {
            Names::New
        } else {
            Names::Known
        }
    }

    /// The attribute under the name, or names, that are asked for.
    pub fn put(self, attributes: &mut Vec<KeyValue>, attribute: Renamed, value: impl Into<Value>) {
        let value = value.into();
        if self != Names::New {
            attributes.push(KeyValue::new(Key::from_static_str(attribute.known), value.clone()));
        }
        if self != Names::Known {
            attributes.push(KeyValue::new(Key::from_static_str(attribute.new), value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_names_are_written_until_the_new_ones_are_asked_for_and_both_wins_over_one() {
        for (asked, names) in [
            ("", Names::Known),
            ("http,gen_ai_latest_experimental", Names::Known),
            ("http, messaging", Names::New),
            ("messaging/dup", Names::Both),
            ("messaging,messaging/dup", Names::Both),
        ] {
            assert_eq!(Names::of(asked), names, "{asked}");
        }
    }

    #[test]
    fn every_name_stands_on_the_page_about_traces() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/traces-and-logs.md");
        let page = std::fs::read_to_string(page).unwrap();
        let names = include_str!("conventions.rs").lines().filter(|line| line.starts_with("pub const "));
        let names = names.flat_map(|line| line.split('"').skip(1).step_by(2)).collect::<Vec<_>>();
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            assert!(page.contains(&format!("`{name}")), "{name} is not on the page");
        }
    }

    #[test]
    fn an_attribute_of_two_names_is_written_under_those_that_are_asked_for() {
        let keys = |names: Names| {
            let mut attributes = Vec::new();
            names.put(&mut attributes, OFFSET, 7);
            attributes.into_iter().map(|attribute| attribute.key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(keys(Names::Known), ["messaging.kafka.offset"]);
        assert_eq!(keys(Names::New), ["kafka.offset"]);
        assert_eq!(keys(Names::Both), ["messaging.kafka.offset", "kafka.offset"]);
    }
}
