//! Where dead letters are archived, and how long what is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{Size, Span};
use super::{Config, Secret};

/// Where dead letters are kept that Kafka is about to delete. Archived ones stay open, and can be shown, sent back and
/// restored as long as they are there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// A folder, or `s3://bucket/prefix`.
    pub to: String,
    /// How the store is reached, where `to` is one.
    #[serde(default)]
    pub s3: S3,
    /// How long before Kafka may delete an open dead letter it is archived.
    #[serde(default = "defaults::before")]
    pub before: Span,
    /// Archive open dead letters this long after their death, however long Kafka keeps them.
    #[serde(default)]
    pub after: Option<Span>,
    /// How often it is looked what is to be archived, and what is to be deleted.
    #[serde(default = "defaults::every")]
    pub every: Span,
    /// How long dead letters are kept in the archive, counted from their death, for the stages that do not say it
    /// themselves; for ever when absent. Those that are still open are kept all the same.
    #[serde(default)]
    pub delete_after: Option<Span>,
    /// Give up, in the name of rule:retention, what is still open when `delete_after` is over, and delete it too.
    #[serde(default)]
    pub delete_open: bool,
}

/// An S3-compatible store.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct S3 {
    /// Its URL; that of Amazon's region when absent.
    pub endpoint: Option<String>,
    /// us-east-1 when absent.
    pub region: Option<String>,
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    /// Talk to it without TLS.
    pub allow_http: bool,
}

/// How long dead letters of a stage are kept, and how much room they may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// In Kafka; for ever when absent.
    pub keep: Option<Span>,
    /// Whether they are archived.
    pub archive: bool,
    /// In the archive; for ever when absent.
    pub delete_after: Option<Span>,
    pub budget: Option<Size>,
}

impl Config {
    /// What the stage says itself, else what its pipeline says, else what holds for the archive. Topics of others, which no stage
    /// is named for, are archived where `after` says so. Pure.
    pub fn retention(&self, pipeline: &str, stage: &str) -> Retention {
        let archive = self.quarantine.archive.as_ref();
        let of_archive = archive.and_then(|archive| archive.delete_after);
        let Some(pipeline) = self.pipelines.get(pipeline) else {
            let archive = archive.is_some();
            return Retention { archive, delete_after: of_archive, ..Retention::default() };
        };
        let stage = pipeline.stage(stage);
        Retention {
            keep: stage.and_then(|stage| stage.dlq_retention).or(pipeline.dlq_retention),
            archive: archive.is_some()
                && stage.and_then(|stage| stage.dlq_archive).or(pipeline.dlq_archive).unwrap_or(true),
            delete_after: stage
                .and_then(|stage| stage.dlq_delete_after)
                .or(pipeline.dlq_delete_after)
                .or(of_archive),
            budget: stage.and_then(|stage| stage.dlq_budget).or(pipeline.dlq_budget),
        }
    }
}

mod defaults {
    use super::Span;

    pub fn before() -> Span {
        Span::secs(12 * 3600)
    }
    pub fn every() -> Span {
        Span::secs(600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    #[test]
    fn the_stage_wins_over_its_pipeline_and_that_over_the_archive() {
        let text = "version: 1
kafka: { bootstrap: 'a:1' }
quarantine: { archive: { to: a, delete_after: 300d } }
pipelines:
  p:
    input: { topic: in }
    output: { topic: out }
    dlq_retention: 90d
    dlq_budget: 10GiB
    stages:
      - { name: v, kind: validate }
      - { name: w, kind: validate, dlq_retention: 30d, dlq_archive: false, dlq_delete_after: 100d, dlq_budget: 1GiB }
";
        let config = load_text(text, "test.yaml", &|_| None).unwrap_or_else(|e| panic!("{e}")).config;
        let days = |days: u64| Some(Span::secs(days * 86_400));
        let of_pipeline = Retention {
            keep: days(90),
            archive: true,
            delete_after: days(300),
            budget: Some(Size(10 << 30)),
        };
        assert_eq!(config.retention("p", "v"), of_pipeline);
        let of_stage = Retention {
            keep: days(30),
            archive: false,
            delete_after: days(100),
            budget: Some(Size(1 << 30)),
        };
        assert_eq!(config.retention("p", "w"), of_stage);
        let of_others = Retention { archive: true, delete_after: days(300), ..Retention::default() };
        assert_eq!(config.retention("", ""), of_others);
    }
}
