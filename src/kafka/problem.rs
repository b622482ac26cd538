//! What can be wrong with the cluster as a whole, told once and with a remedy. Failures of single records are
//! `producer::ProduceError`.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::Span;

/// Why Kafka could not be used. As text it is one line with place, cause and remedy; a surface that shows them
/// apart asks for each.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.line())]
pub enum KafkaProblem {
    /// `place` is the key below `kafka`.
    Config {
        place: String,
        message: String,
    },
    Unreachable {
        bootstrap: String,
        waited: Duration,
        cause: String,
    },
    Unauthenticated {
        bootstrap: String,
        cause: String,
    },
    /// Nobody hands out the token to log in with.
    NoToken {
        cause: String,
    },
    Tls {
        bootstrap: String,
        cause: String,
    },
    NotAuthorized {
        what: String,
        cause: String,
    },
    UnknownTopic(String),
    TimedOut {
        what: String,
        waited: Duration,
    },
    Other {
        what: String,
        cause: String,
    },
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

    /// What is wrong.
    pub fn message(&self) -> String {
        match self {
            Self::Config { message, .. } => message.clone(),
            Self::Unreachable { waited, cause, .. } => {
                format!("cannot reach Kafka within {}: {cause}", Span(*waited))
            }
            Self::Unauthenticated { cause, .. } => format!("Kafka refuses the credentials: {cause}"),
            Self::NoToken { cause } => format!("there is no token to log in at Kafka with: {cause}"),
            Self::Tls { cause, .. } => format!("the TLS connection to Kafka failed: {cause}"),
            Self::NotAuthorized { what, cause } => {
                format!("Kafka does not allow this user to {what}: {cause}")
            }
            Self::UnknownTopic(topic) => format!("topic '{topic}' does not exist"),
            Self::TimedOut { what, waited } => format!("Kafka did not finish in {} to {what}", Span(*waited)),
            Self::Other { what, cause } => format!("Kafka failed to {what}: {cause}"),
        }
    }

    /// The key of the configuration or the address, where the message does not say where.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Config { place, .. } => Some(format!("kafka.{place}")),
            Self::NoToken { .. } => Some("kafka.security.token".into()),
            Self::Unreachable { bootstrap, .. }
            | Self::Unauthenticated { bootstrap, .. }
            | Self::Tls { bootstrap, .. } => Some(bootstrap.clone()),
            Self::NotAuthorized { .. }
            | Self::UnknownTopic(_)
            | Self::TimedOut { .. }
            | Self::Other { .. } => None,
        }
    }

    /// What to do, where that can be told.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Config { place, .. }
                if ["security.password", "security.token.endpoint.client_secret"]
                    .contains(&place.as_str()) =>
            {
                "set the variable or file, or name another: { env: VARIABLE } or { file: PATH }"
            }
            Self::Config { place, .. } if place.starts_with("security.") => {
                "name a file that is there and that this user may read"
            }
            Self::Config { .. } | Self::Other { .. } => return None,
            Self::Unreachable { .. } => {
                "is it running there, and are kafka.bootstrap and kafka.security.protocol right?"
            }
            Self::Unauthenticated { .. } => {
                "check kafka.security (protocol, mechanism, username and password, or token)"
            }
            Self::NoToken { .. } => {
                "does the token endpoint answer there (url, ca_file), and does it know client_id and client_secret? a token in a \
                 file must be a JWT with 'exp' and 'sub' that is not out of date"
            }
            Self::Tls { .. } => {
                "check kafka.security (protocol, ca_file, certificate_file, key_file) and the broker's host name"
            }
            Self::NotAuthorized { .. } => "grant the right or use another user",
            Self::UnknownTopic(_) => "`lazaret topics apply` makes the topics of the configuration",
            Self::TimedOut { .. } => "try again, or raise kafka.timeout if the cluster is slow",
        })
    }

    fn line(&self) -> String {
        let place = self.place().map(|place| format!("{place}: ")).unwrap_or_default();
        let hint = self.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{place}{}{hint}", self.message())
    }
}
