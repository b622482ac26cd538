//! Those who are known because somebody else vouches for them: OpenID Connect.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Right, Role};
use crate::config::units::Span;

/// An issuer of tokens (JWT) that the HTTP API believes, and what it lets those do who bring one. Only asymmetric signatures
/// are believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Its URL, exactly as tokens name it in `iss`.
    pub issuer: String,
    /// What tokens must name in `aud`.
    pub audience: String,
    /// Where its public keys are. When absent, where `<issuer>/.well-known/openid-configuration` says.
    #[serde(default)]
    pub jwks: Option<Jwks>,
    /// The claim in whose name acts are written down. It has to name one person for ever.
    #[serde(default = "defaults::name")]
    pub name: String,
    /// How far its clock and ours may be apart.
    #[serde(default = "defaults::leeway")]
    pub leeway: Span,
    /// What is allowed to whom: the first that fits says it all. Whom none fits may do nothing.
    pub grants: Vec<Grant>,
}

/// Where public keys are. Exactly one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Jwks {
    Url(String),
    File(PathBuf),
}

/// What is allowed to those whose tokens say something of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// A claim, such as `groups`, or a path such as `realm_access.roles`.
    pub claim: String,
    /// What it has to be, or to have among others.
    pub has: String,
    pub role: Role,
    /// Rights more than the role has.
    #[serde(default)]
    pub with: Vec<Right>,
    /// Only for dead letters of this pipeline, this stage, this tenant.
    #[serde(default)]
    pub pipeline: Option<Part>,
    #[serde(default)]
    pub stage: Option<Part>,
    #[serde(default)]
    pub tenant: Option<Part>,
}

/// A name, or the claim that has it: who lacks the claim is not let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Part {
    Name(String),
    Of(OfClaim),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfClaim {
    pub claim: String,
}

mod defaults {
    use super::Span;

    pub fn name() -> String {
        "sub".into()
    }
    pub fn leeway() -> Span {
        Span::secs(60)
    }
}
