//! What went wrong between us and the server, and what that means: worth another try, of one request alone, or the
//! connection is gone and the outcome may be unknown.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::failure::Failure;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    /// The server did not answer within this time.
    #[error("it did not answer within {0:?}")]
    Silent(Duration),
    /// What another process did at the same time stands in the way; from the beginning it will not.
    #[error("other processes changed the same rows again and again")]
    Crossed,
    /// Said in words already.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Error {
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Error::Server(error) => error.code(),
            _ => None,
        }
    }

    /// Running it again from the beginning can succeed at once.
    pub fn is_crossed(&self) -> bool {
        const CROSSED: [&SqlState; 3] = [
            &SqlState::T_R_SERIALIZATION_FAILURE,
            &SqlState::T_R_DEADLOCK_DETECTED,
            &SqlState::UNIQUE_VIOLATION,
        ];
        matches!(self, Error::Crossed) || self.code().is_some_and(|code| CROSSED.contains(&code))
    }

    /// The connection is of no use any more. Whether a commit under way was done is not known.
    pub fn is_lost(&self) -> bool {
        match self {
            Error::Server(error) => match error.code() {
                None => true,
                Some(code) => code.code().starts_with("57P") || code.code().starts_with("08"),
            },
            Error::Silent(_) => true,
            Error::Crossed | Error::Failed(_) => false,
        }
    }

    /// Something in what was asked is the reason, so that others who asked at the same time need not fail.
    pub fn is_of_one(&self) -> bool {
        self.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.code().starts_with(class)))
    }
}
