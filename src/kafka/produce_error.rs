//! Why a record was not written: one reading of librdkafka's errors for the producer and for transactions.

use rdkafka::error::RDKafkaErrorCode;

use super::context::Context;
use super::delivery::Refused;

/// Why a record was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    #[error("the record has {size} bytes, more than topic '{topic}' takes (max.message.bytes)")]
    TooLarge { topic: String, size: usize },
    #[error(
        "topic '{0}' or the partition asked for does not exist; `lazaret topics apply` makes missing topics"
    )]
    UnknownTopic(String),
    #[error("topic '{topic}' refuses the record's timestamp ({cause}; message.timestamp.*.max.ms)")]
    Timestamp { topic: String, cause: String },
    #[error("this user may not write to topic '{0}'; grant it the right to write")]
    NotAuthorized(String),
    /// The brokers did not take it in time. It may still have been written.
    #[error("Kafka did not acknowledge the record for topic '{topic}': {cause}")]
    Unavailable { topic: String, cause: String },
    #[error("Kafka refuses the record for topic '{topic}': {cause}")]
    Other { topic: String, cause: String },
}

impl ProduceError {
    /// Sorts the error of a record. `fatal` is why the client failed for good, if it did: the record's own error says
    /// no more than that then. `context` is the client's, which knows more of what is wrong with the connection.
    pub(super) fn sort(
        refused: Refused,
        fatal: Option<(RDKafkaErrorCode, String)>,
        context: &Context,
    ) -> Self {
        use RDKafkaErrorCode as Code;
        let Refused { error, topic, size } = refused;
        let topic = topic.to_string();
        let own = error.rdkafka_error_code();
        let code = match (own, &fatal) {
            (Some(Code::Fatal | Code::PurgeQueue | Code::PurgeInflight), Some((code, _))) => Some(*code),
            _ => own,
        };
        match code {
            Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) => Self::TooLarge { topic, size },
            Some(
                Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::InvalidTopic,
            ) => Self::UnknownTopic(topic),
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                Self::NotAuthorized(topic)
            }
            Some(Code::InvalidTimestamp) => Self::Timestamp { topic, cause: error.to_string() },
            Some(Code::InvalidRecord | Code::PolicyViolation | Code::UnsupportedForMessageFormat) => {
                Self::Other { topic, cause: error.to_string() }
            }
            // What else can happen concerns the way to the broker or its state, not this record.
            _ => {
                let cause = fatal.map_or_else(|| context.explain(&error), |(_, reason)| reason);
                Self::Unavailable { topic, cause }
            }
        }
    }
}
