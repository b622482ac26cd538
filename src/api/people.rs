//! Who is known: those who have a token of ours, and those for whom an issuer vouches.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::oidc::{KeysError, Oidc, Refusal};
use super::tokens::{Tokens, TokensError};
use super::{Problem, Who};
use crate::config::{Ops, SecretError};

/// The longest token that is looked at.
const TOKEN_MAX: usize = 16 << 10;

/// It cannot be said who is known.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl PeopleError {
    /// The setting that it is about.
    pub fn place(&self) -> &'static str {
        match self {
            Self::Secret(_) | Self::Tokens(_) => "ops.tokens",
            Self::Keys(_) => "ops.oidc.jwks",
        }
    }
}

/// See the module. Nobody in particular by default.
#[derive(Default)]
pub struct People {
    pub tokens: Option<Tokens>,
    pub oidc: Option<Oidc>,
}

impl People {
    /// Those that the configuration names.
    pub async fn open(settings: &Ops) -> Result<Self, PeopleError> {
        let tokens = settings
            .tokens
            .as_ref()
            .map(|secret| -> Result<_, PeopleError> { Ok(Tokens::parse(secret.read()?.expose_secret())?) });
        let oidc = match &settings.oidc {
            Some(oidc) => Some(Oidc::open(oidc).await?),
            None => None,
        };
        Ok(Self { tokens: tokens.transpose()?, oidc })
    }

    /// Everybody who reaches the address may do everything.
    pub fn is_everybody(&self) -> bool {
        self.tokens.is_none() && self.oidc.is_none()
    }

    /// Whose token it is.
    pub async fn find(
        &self,
        token: Option<&str>,
        time: Timestamp,
        now: Instant,
    ) -> Result<Arc<Who>, Problem> {
        const HINT: &str = "send 'Authorization: Bearer TOKEN'; `lazaret ops token` makes one";
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Err(Problem::unknown("nobody is known without a token").hint(HINT));
        };
        let ours = self.tokens.as_ref().and_then(|tokens| tokens.find(token, time));
        match (ours, &self.oidc) {
            (Some(who), _) => Ok(who),
            (None, Some(oidc)) if !Tokens::is_like(token) && token.len() <= TOKEN_MAX => {
                oidc.who(token, now).await.map_err(Problem::from)
            }
            _ => Err(Problem::bad_token("nobody is known by this token").hint(HINT)),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let why = refusal.to_string();
        match refusal {
            Refusal::Grant => Self::forbidden(why, "ask whoever keeps ops.oidc.grants of the configuration"),
            Refusal::NoKeys => Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
                .hint("ask again; the log of the service says more"),
            _ => Self::bad_token(why).hint("get a new one from the issuer that ops.oidc names"),
        }
    }
}
