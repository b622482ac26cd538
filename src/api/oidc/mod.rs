//! Those for whom an issuer of OpenID Connect vouches: their tokens are signed by one of its keys, meant for us, and good now.
//! What they may do follows from what the token says of them.

mod grant;
mod keys;

use std::sync::Arc;
use std::time::Instant;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

use self::keys::Keys;
pub use self::keys::KeysError;
use super::Who;
use crate::config;

/// Signatures that cannot be made by who checks them. Neither `none` nor those of a shared secret are among them.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is not believed. Says nothing of what stands in it, since it may not be a token for us at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the token is none that can be read")]
    Unreadable,
    #[error("the token is signed in a way that is not believed")]
    Algorithm,
    #[error("the token is signed by a key that the issuer does not name")]
    Key,
    #[error("the signature of the token is not right")]
    Signature,
    #[error("the token is not good any more")]
    Expired,
    #[error("the token is not good yet")]
    TooEarly,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for somebody else than this API")]
    Audience,
    #[error("the token lacks a claim that is needed: exp, iss, aud, or the one that says whose it is")]
    Claim,
    /// Believed, and nothing follows from it.
    #[error("nothing is granted to whom this token is for")]
    Grant,
    /// Nobody can say whether it is to be believed.
    #[error("the keys of the issuer are not known, since it does not answer")]
    NoKeys,
}

/// See the module.
pub struct Oidc {
    settings: config::Oidc,
    keys: Keys,
}

impl Oidc {
    /// Reads the keys. An issuer that does not answer is asked again when a token comes; a file has to be there.
    pub async fn open(settings: &config::Oidc) -> Result<Self, KeysError> {
        Ok(Self { settings: settings.clone(), keys: Keys::open(settings, Instant::now()).await? })
    }

    /// Whose token it is. `now` says when keys were asked for last; that a token is good now, its library says.
    pub async fn who(&self, token: &str, now: Instant) -> Result<Arc<Who>, Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Unreadable)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Refusal::Algorithm);
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg, now).await?;
        let validation = self.validation(header.alg);
        let claims = decode::<Map<String, Value>>(token, &key, &validation);
        let claims = claims.map_err(|error| refusal(error.kind()))?.claims;
        grant::who(&self.settings, &claims).map(Arc::new)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.validate_nbf = true;
        validation.leeway = self.settings.leeway.0.as_secs();
        validation
    }
}

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::InvalidSignature => Refusal::Signature,
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::TooEarly,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Refusal::Claim,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refusal::Algorithm,
        _ => Refusal::Unreadable,
    }
}

#[cfg(test)]
mod tests;
