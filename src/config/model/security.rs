//! How to log in at Kafka: TLS, passwords, and where tokens come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// How to authenticate. Secrets are named by environment variable or file, never written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Security {
    #[serde(default)]
    pub protocol: Protocol,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` with `username` and `password`, `OAUTHBEARER` with `token`.
    #[serde(default)]
    pub mechanism: Option<String>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub token: Option<TokenSource>,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

/// Where tokens come from. Exactly one of the two.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenSource {
    /// An issuer is asked, again before a token is out of date.
    Endpoint(TokenEndpoint),
    /// A file that somebody else keeps up to date, such as the token of a ServiceAccount that Kubernetes projects into the Pod.
    /// It is a JWT, and read anew before the last one is out of date.
    File(PathBuf),
}

/// A token endpoint, asked with the client's credentials (RFC 6749, section 4.4).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpoint {
    /// Its URL.
    pub url: String,
    pub client_id: String,
    pub client_secret: Secret,
    /// What the token is to be good for.
    #[serde(default)]
    pub scope: Option<String>,
    /// Who vouches for the endpoint's certificate; those whom the machine trusts when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What else brokers want to be told at the login, such as `logicalCluster` (RFC 7628, section 3.1).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, String>,
}
