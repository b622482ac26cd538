//! What nobody is to see of dead letters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::mask::{FieldPath, Pattern};

/// What nobody is to see of dead letters, wherever they are listed, searched, exported or shown. It is replaced by `***`.
/// What stands in Kafka stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Masking {
    /// Fields of payloads that are JSON, such as `$.user.email` or `$..password`. A payload that is not JSON is hidden as a
    /// whole when there are any.
    pub fields: Vec<FieldPath>,
    /// Regular expressions. What they match is hidden in error texts, in keys, header values and payloads. What is not text
    /// is hidden as a whole when there are any.
    pub patterns: Vec<Pattern>,
    /// Headers whose values are hidden: their names, or how they begin and `*`; in whatever case.
    pub headers: Vec<String>,
    /// Hides the keys of records.
    pub keys: bool,
    /// Hides in error texts what stands in quotation marks: all from the first to the last of them. Errors of model providers
    /// quote prompts.
    pub quotes: bool,
}
