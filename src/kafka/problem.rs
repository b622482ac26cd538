//! What can be wrong with the cluster as a whole, told once and with a remedy. Failures of single records are
//! `producer::ProduceError`.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::Span;

/// Why Kafka could not be used. Each message says what, where and how to fix it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KafkaProblem {
    #[error("kafka.{place}: {message}")]
    Config { place: String, message: String },
    #[error(
        "cannot reach Kafka at {bootstrap} within {}: {cause}; is it running there, and are the address (kafka.bootstrap) and kafka.security.protocol right?",
        Span(*.waited)
    )]
    Unreachable { bootstrap: String, waited: Duration, cause: String },
    #[error(
        "Kafka at {bootstrap} refuses the credentials: {cause}; check kafka.security (protocol, mechanism, username, password)"
    )]
    Unauthenticated { bootstrap: String, cause: String },
    #[error(
        "the TLS connection to Kafka at {bootstrap} failed: {cause}; check kafka.security (protocol, ca_file, certificate_file, key_file) and the broker's host name"
    )]
    Tls { bootstrap: String, cause: String },
    #[error("Kafka does not allow this user to {what}: {cause}; grant the right or use another user")]
    NotAuthorized { what: String, cause: String },
    #[error("topic '{0}' does not exist; `lazaret topics apply` makes the topics of the configuration")]
    UnknownTopic(String),
    #[error(
        "Kafka did not finish in {} to {what}; try again, or raise kafka.timeout if the cluster is slow",
        Span(*.waited)
    )]
    TimedOut { what: String, waited: Duration },
    #[error("Kafka failed to {what}: {cause}")]
    Other { what: String, cause: String },
}

impl KafkaProblem {
    /// Sorts a client error that came up while doing `what` (a phrase such as "read topic x").
    pub fn from_error(what: impl Into<String>, error: &KafkaError) -> Self {
        // Not every kind of error hands out its code.
        let code = match error {
            KafkaError::AdminOp(code) => Some(*code),
            other => other.rdkafka_error_code(),
        };
        match code {
            Some(code) => Self::from_code(what, code),
            None => Self::Other { what: what.into(), cause: error.to_string() },
        }
    }

    /// Sorts an error code in the same way.
    pub fn from_code(what: impl Into<String>, code: RDKafkaErrorCode) -> Self {
        use RDKafkaErrorCode as Code;
        let (what, cause) = (what.into(), code.to_string());
        match code {
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed => Self::NotAuthorized { what, cause },
            _ => Self::Other { what, cause },
        }
    }

    /// The configuration makes no client.
    pub fn properties(error: &KafkaError) -> Self {
        Self::Config { place: "properties".into(), message: format!("librdkafka refuses them: {error}") }
    }
}
