//! Calls of model providers within an attempt, noted by whoever makes them. A call that is given up, because the stage's time
//! is over, is noted too.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::flow::Fault;
use crate::message::Spent;
use crate::telemetry::metrics::Operation;

/// Calls of one attempt, in the order in which they ended.
#[derive(Debug, Default)]
pub struct Calls(Mutex<Vec<Called>>);

/// Who is asked, and for what.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The provider's name in the configuration.
    pub provider: String,
    pub operation: Operation,
    pub model: String,
    /// Host and port.
    pub address: String,
    pub port: Option<u16>,
    /// Why.
    pub purpose: &'static str,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// The model that answered.
    pub model: Option<String>,
    pub finish_reason: Option<String>,
    pub status: Option<u16>,
    pub spent: Option<Spent>,
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct Called {
    pub(super) endpoint: Endpoint,
    pub(super) begun: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) answered: Answered,
    /// `error.type` and a description.
    pub(super) error: Option<(&'static str, String)>,
}

/// A call that is under way.
#[derive(Debug)]
pub struct Call<'a> {
    calls: &'a Calls,
    called: Option<Called>,
}

impl Calls {
    pub fn begin(&self, endpoint: Endpoint) -> Call<'_> {
        let now = Timestamp::now();
        let error = Some(("cancelled", "the call was given up".to_owned()));
        let called = Called { endpoint, begun: now, ended: now, answered: Answered::default(), error };
        Call { calls: self, called: Some(called) }
    }

    /// Takes out those that are over.
    pub fn take(&self) -> Vec<Called> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Call<'_> {
    /// It is over, one way or the other.
    pub fn end(mut self, answered: Answered, fault: Option<&Fault>) {
        if let Some(called) = &mut self.called {
            called.answered = answered;
            called.error = fault.map(|fault| (fault.code.as_str(), fault.message.clone()));
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(called) = self.called.take() {
            let called = Called { ended: Timestamp::now(), ..called };
            self.calls.0.lock().unwrap_or_else(PoisonError::into_inner).push(called);
        }
    }
}
