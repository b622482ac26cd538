//! The closed list of failure codes. Each has one class and one page in `docs/codes/`.
//!
//! A code is stable: dashboards, rules and runbooks name it. Adding one means adding its page.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whose fault a failure is, and so what happens to the record.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nobody's for long: the ladder, then the dead letter topic.
    Transient,
    /// The record's: dead letter at once.
    Permanent,
    /// The stage's: the stage pauses and probes; nothing is dead-lettered and no attempt is used up.
    Systemic,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Transient => "transient",
            Class::Permanent => "permanent",
            Class::Systemic => "systemic",
        })
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $class:ident $summary:literal;)*) => {
        /// Why a record failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $summary] $variant,)* }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable name, `area.reason`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The class unless a rule in the pipeline file says otherwise.
            pub fn class(self) -> Class {
                match self { $(Code::$variant => Class::$class,)* }
            }

            /// One sentence, lower case, without a full stop.
            pub fn summary(self) -> &'static str {
                match self { $(Code::$variant => $summary,)* }
            }

            /// One section of the page, such as `What to do`, without its heading.
            pub fn section(self, heading: &str) -> Option<&'static str> {
                let (_, rest) = self.page().split_once(&format!("\n## {heading}\n"))?;
                Some(rest.split("\n## ").next().unwrap_or(rest).trim())
            }

            /// The documentation page: what happened, cause, remedy. Markdown.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$variant => include_str!(concat!("../../docs/codes/", $text, ".md")),)*
                }
            }
        }
    };
}

codes! {
    RecordNull "record.null" Permanent "the record has no value";
    RecordUndecodable "record.undecodable" Permanent "the bytes are not in the topic's format";
    RecordSchemaUnknown "record.schema_unknown" Permanent "the registry does not know the record's schema id";
    RecordSchemaViolation "record.schema_violation" Permanent "the record does not fit the schema this stage reads";
    RecordMissingField "record.missing_field" Permanent "a required field is missing or empty";
    RecordTenantMismatch "record.tenant_mismatch" Permanent "header and payload name different tenants";
    RecordTooLarge "record.too_large" Permanent "what the stage made of the record is larger than its topic allows";

    SourceForbidden "source.forbidden" Permanent "the reference points outside the allowed roots and hosts";
    SourceNotFound "source.not_found" Permanent "the referenced document does not exist";
    SourceDenied "source.denied" Permanent "the source refused access to the document";
    SourceUnavailable "source.unavailable" Transient "the source could not be reached or failed";

    DocumentEmpty "document.empty" Permanent "the document has no bytes or no text";
    DocumentTooLarge "document.too_large" Permanent "the document is larger than the limit";
    DocumentUnsupported "document.unsupported" Permanent "no parser reads this kind of document";
    DocumentMismatch "document.mismatch" Permanent "the bytes are not what the document says it is";
    ParseCorrupt "parse.corrupt" Permanent "the document is damaged";
    ParseEncoding "parse.encoding" Permanent "the text is in no encoding that could be told";
    ParseEncrypted "parse.encrypted" Permanent "the document is protected by a password";
    ParseExpansion "parse.expansion" Permanent "the document unpacks to more than the limit";
    ParseTimeout "parse.timeout" Permanent "the parser did not finish within its time";
    ParseCrashed "parse.crashed" Permanent "the parser crashed or ran out of memory on this document";
    ChunkTooMany "chunk.too_many" Permanent "the document splits into more passages than the limit";

    LlmRateLimited "llm.rate_limited" Transient "the provider asks for a slower pace";
    LlmOverloaded "llm.overloaded" Transient "the provider is overloaded";
    LlmServerError "llm.server_error" Transient "the provider failed";
    LlmTimeout "llm.timeout" Transient "the provider did not answer in time";
    LlmConnection "llm.connection" Transient "the connection to the provider failed or broke";
    LlmMalformed "llm.malformed" Transient "the provider's answer is cut off or is not what its protocol says";
    LlmBadRequest "llm.bad_request" Permanent "the provider refuses the request as invalid";
    LlmContextLength "llm.context_length" Permanent "the request is longer than the model's context";
    LlmContentFiltered "llm.content_filtered" Permanent "the provider's content filter refused";
    LlmUnauthorized "llm.unauthorized" Systemic "the provider refuses the credentials";
    LlmQuotaExhausted "llm.quota_exhausted" Systemic "the provider account's quota or credit is used up";
    LlmModelUnknown "llm.model_unknown" Systemic "the provider does not know the model";
    LlmUnavailable "llm.unavailable" Systemic "the provider is down: most recent calls failed";

    AnswerUngrounded "answer.ungrounded" Permanent "the answer cites nothing that was retrieved";

    StageFailed "stage.failed" Transient "the stage failed and says nothing more exact";
    StageRejected "stage.rejected" Permanent "the stage refuses the record";
    StageUnavailable "stage.unavailable" Systemic "the stage cannot work, whatever the record";
    StagePanicked "stage.panicked" Permanent "the stage's code panicked on this record";
    StageTimeout "stage.timeout" Transient "the stage did not finish within its time";

    IndexUnavailable "index.unavailable" Systemic "the search index cannot be read or written";
    LedgerUnavailable "ledger.unavailable" Systemic "the job ledger cannot be read or written";
    RegistryUnavailable "registry.unavailable" Systemic "the schema registry cannot be reached or failed";
    RegistryUnauthorized "registry.unauthorized" Systemic "the schema registry refuses the credentials";
    OutputUnwritable "output.unwritable" Systemic "Kafka does not accept the stage's output";
    DlqUnwritable "dlq.unwritable" Systemic "Kafka does not accept the dead letter";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not a failure code.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a failure code; `lazaret codes` lists them")]
pub struct UnknownCode(pub String);

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|c| c.as_str() == text).ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<&str> = Self::ALL.iter().map(|c| c.as_str()).collect();
        schemars::json_schema!({ "type": "string", "enum": names })
    }
}

/// Whether a code is this one, or one of this area.
pub fn is_in_area(code: &str, area: &str) -> bool {
    code.strip_prefix(area).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_written_and_read_by_its_name() {
        for code in Code::ALL {
            assert_eq!(code.to_string(), code.as_str());
            assert_eq!(code.to_string().parse::<Code>().unwrap(), *code);
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(serde_json::from_value::<Code>(code.as_str().into()).unwrap(), *code);
        }
        assert_eq!("llm.slow".parse::<Code>().unwrap_err().0, "llm.slow");
        assert!(serde_json::from_value::<Code>("llm.slow".into()).is_err());
    }

    #[test]
    fn a_class_is_shown_as_it_is_written() {
        for class in [Class::Transient, Class::Permanent, Class::Systemic] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.to_string());
        }
    }

    #[test]
    fn the_schema_of_a_code_lists_all_and_no_other() {
        let schema = schemars::schema_for!(Code);
        let names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(schema.get("enum"), Some(&serde_json::json!(names)));
    }
}
