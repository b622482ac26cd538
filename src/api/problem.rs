//! What went wrong with a request, as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ops::advice::Advice;
use crate::ops::quarantine::change::ChangeError;
use crate::ops::quarantine::content::ContentError;
use crate::ops::quarantine::export::ExportError;
use crate::ops::quarantine::selection::SelectionError;
use crate::ops::redrive::RunError;
use crate::ops::redrive::checks::Check;
use crate::quarantine::QuarantineError;

/// See the module.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// What its code means, in the words of HTTP.
    title: &'static str,
    status: u16,
    /// What is wrong.
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What else is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more: Vec<String>,
    /// A token was sent, and is none that is believed.
    #[serde(skip)]
    bad_token: bool,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        Self {
            title,
            status: status.as_u16(),
            detail: detail.into(),
            hint: None,
            more: Vec::new(),
            bad_token: false,
        }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub fn advised(status: StatusCode, advice: Advice) -> Self {
        Self::new(status, advice.message).hint(advice.hint)
    }

    pub fn wrong(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail).hint(hint)
    }

    /// These stand in the way.
    pub fn refused(checks: Vec<Check>) -> Self {
        let mut checks = checks.into_iter();
        let first = checks.next().map(|check| {
            let hint = check.hint();
            Self::new(StatusCode::CONFLICT, format!("{}: {}", check.name, check.found)).hint(hint)
        });
        let more = checks.map(|check| format!("{}: {}", check.name, check.found)).collect();
        Self { more, ..first.unwrap_or_else(|| Self::new(StatusCode::CONFLICT, "nothing was done")) }
    }

    /// It cannot be done, for these reasons.
    pub fn conflicts(all: Vec<Advice>) -> Self {
        let more = all.iter().skip(1).map(|advice| advice.message.clone()).collect();
        let first = all.into_iter().next().map(|advice| Self::advised(StatusCode::CONFLICT, advice));
        let none = || Self::new(StatusCode::CONFLICT, "nothing was changed");
        Self { more, ..first.unwrap_or_else(none) }
    }

    pub fn forbidden(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail).hint(hint)
    }

    /// Whoever asks has to say who that is.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Whoever asks has said it, and is not believed. Nothing of the token may stand in it.
    pub fn bad_token(detail: impl Into<String>) -> Self {
        Self { bad_token: true, ..Self::unknown(detail) }
    }

    pub fn not_found(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail).hint(hint)
    }

    pub fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this page is not asked in this way")
            .hint("`/v1/openapi.json` says how")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // RFC 6750.
        let challenge = match (status, self.bad_token) {
            (_, true) => HeaderValue::try_from(format!(
                "Bearer error=\"invalid_token\", error_description=\"{}\"",
                self.detail
            ))
            .ok(),
            (StatusCode::UNAUTHORIZED, _) => Some(HeaderValue::from_static("Bearer")),
            _ => None,
        };
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, Json(self)).into_response();
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<QuarantineError> for Problem {
    fn from(error: QuarantineError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<SelectionError> for Problem {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::NotFound(advice) => Self::advised(StatusCode::NOT_FOUND, advice),
            SelectionError::TooMany(advice) => Self::advised(StatusCode::CONFLICT, advice),
            SelectionError::Index(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Wrong(advice) => Self::advised(StatusCode::BAD_REQUEST, advice),
            ChangeError::Selection(error) => error.into(),
            ChangeError::Refused(all) => Self::conflicts(all),
            ChangeError::Kafka(_) | ChangeError::Unwritten { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
        }
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NotFound(advice) => Self::advised(StatusCode::NOT_FOUND, advice),
            RunError::Wrong(advice) => Self::advised(StatusCode::BAD_REQUEST, advice),
            RunError::Refused(advice) | RunError::Conflict(advice) => {
                Self::advised(StatusCode::CONFLICT, advice)
            }
            error => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<ContentError> for Problem {
    fn from(error: ContentError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}
