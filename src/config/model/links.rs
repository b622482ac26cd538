//! Where a dead letter leads to outside of Lazaret: templates of URLs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Templates with placeholders, which are filled in with what is known of a dead letter, percent-encoded: `{id}`, `{job_id}`,
/// `{tenant_id}`, `{resource_id}`, `{trace_id}`, `{pipeline}`, `{stage}`, `{code}`, and the times between which its job failed,
/// with some minutes before and after: `{from}` and `{to}` as RFC 3339, `{from_ms}` and `{to_ms}` as milliseconds since 1970.
/// A link is left out where one of its placeholders has no value. A brace of the URL itself is written `%7B` or `%7D`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// The log lines of the job.
    pub logs: Option<String>,
    /// The trace.
    pub trace: Option<String>,
}

impl Links {
    /// Everything that can be filled in.
    pub const PLACEHOLDERS: [&str; 12] = [
        "id",
        "job_id",
        "tenant_id",
        "resource_id",
        "trace_id",
        "pipeline",
        "stage",
        "code",
        "from",
        "to",
        "from_ms",
        "to_ms",
    ];

    /// The templates by name, as far as they are given.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("logs", &self.logs), ("trace", &self.trace)]
            .into_iter()
            .filter_map(|(name, template)| Some((name, template.as_deref()?)))
    }
}
