//! Why a stage of one's own failed at a record.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::flow::{self, Class, Code};

/// Why an attempt failed, and by that what becomes of the record.
///
/// | made by | class | code | what happens |
/// |---|---|---|---|
/// | [`transient`](Self::transient), or `?` on any error | transient | `stage.failed` | the ladder, then a dead letter |
/// | [`permanent`](Self::permanent) | permanent | `stage.rejected` | a dead letter at once |
/// | [`systemic`](Self::systemic) | systemic | `stage.unavailable` | the stage pauses, and tries one record from time to time |
/// | [`of`](Self::of) | the code's | any of the list | by the class |
///
/// `?` turns any error into a transient fault whose message is the error's and whose causes are its sources. An error
/// that is a fault ([`into_error`](Self::into_error)), or has one among its causes, remains that fault.
///
/// It is no `std::error::Error` itself, as every error could not be turned into it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub(crate) flow::Fault);

impl Fault {
    /// Nobody's fault for long: worth another try.
    pub fn transient(message: impl AsRef<str>) -> Self {
        Self::of(Code::StageFailed, message)
    }

    /// The record's fault: another try would fail alike.
    pub fn permanent(message: impl AsRef<str>) -> Self {
        Self::of(Code::StageRejected, message)
    }

    /// The fault of the stage or of what it depends on, whatever the record: credentials refused, a service down.
    pub fn systemic(message: impl AsRef<str>) -> Self {
        Self::of(Code::StageUnavailable, message)
    }

    /// With a code of the list, and its class. The message is kept on one line and cut at 1,024 bytes.
    pub fn of(code: Code, message: impl AsRef<str>) -> Self {
        Self(flow::Fault::new(code, message))
    }

    /// Adds an error and its sources as causes. They stand in the dead letter's `dlq.error.chain`.
    pub fn caused_by(self, error: &(dyn Error + 'static)) -> Self {
        Self(self.0.caused_by(error))
    }

    /// How long the other side asked to wait, counted from now. It goes before the ladder's own backoff.
    pub fn retry_after(self, wait: Duration) -> Self {
        Self(self.0.with_retry_after(Some(wait)))
    }

    /// The HTTP status, by which rules may tell failures apart.
    pub fn status(self, status: u16) -> Self {
        Self(self.0.with_status(status))
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    pub fn class(&self) -> Class {
        self.0.class
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// As an error, for code that returns `anyhow::Result` or a boxed error; `?` in the stage makes it a fault again.
    pub fn into_error(self) -> flow::Fault {
        self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Fault> for flow::Fault {
    fn from(fault: Fault) -> Self {
        fault.0
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>> + 'static> From<E> for Fault {
    fn from(error: E) -> Self {
        // An `anyhow::Error` does not show what it holds once it is a boxed error.
        if let Some(fault) =
            (&error as &dyn Any).downcast_ref::<anyhow::Error>().and_then(anyhow::Error::downcast_ref)
        {
            return Self(flow::Fault::clone(fault));
        }
        let error: Box<dyn Error + Send + Sync> = error.into();
        let mut next: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(cause) = next {
            if let Some(fault) = cause.downcast_ref::<flow::Fault>() {
                return Self(fault.clone());
            }
            next = cause.source();
        }
        let fault = Self::transient(error.to_string());
        match error.source() {
            Some(source) => fault.caused_by(source),
            None => fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn failed(how: impl FnOnce() -> Result<(), Fault>) -> Fault {
        how().expect_err("it fails")
    }

    #[test]
    fn any_error_is_transient_and_keeps_its_causes() {
        let fault = failed(|| Ok(std::fs::read("/no/such/file").map(drop)?));
        assert_eq!((fault.code(), fault.class()), (Code::StageFailed, Class::Transient));

        let deep =
            failed(|| Ok(std::fs::read("/no/such/file").map(drop).context("while looking up prices")?));
        assert_eq!(deep.message(), "while looking up prices");
        assert_eq!(deep.0.chain.len(), 1, "{:?}", deep.0.chain);

        assert_eq!(failed(|| Err("closed")?).message(), "closed");
    }

    #[test]
    fn a_fault_comes_through_other_errors_as_it_was() {
        let meant = Fault::permanent("no such article").status(404);
        let through = |error: anyhow::Error| failed(|| Err(error)?);
        assert_eq!(through(meant.clone().into_error().into()), meant);
        assert_eq!(through(anyhow::Error::new(meant.clone().into_error()).context("article 7")), meant);

        #[derive(Debug, thiserror::Error)]
        #[error("article 7")]
        struct Lookup(#[source] flow::Fault);
        assert_eq!(failed(|| Err(Lookup(meant.clone().into_error()))?), meant);
    }
}
