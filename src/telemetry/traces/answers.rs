//! What the collector says of spans that it did not take, although it took the request (OTLP, "Partial Success"). The exporter
//! keeps it to itself, so its client listens.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use crate::flow::fault::one_line;

/// Longest cause that is told, in bytes.
const CAUSE_MAX: usize = 500;

/// What was heard last.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<Option<Rejected>>>);

/// What was not taken of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    pub spans: usize,
    pub cause: String,
}

impl Heard {
    /// It is told once.
    pub fn take(&self) -> Option<Rejected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, body: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rejected(body);
    }
}

/// A body that is none of this kind says nothing. A cause without spans is a remark on spans that were taken.
fn rejected(body: &[u8]) -> Option<Rejected> {
    let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
    let spans = usize::try_from(partial.rejected_spans).ok().filter(|spans| *spans > 0)?;
    Some(Rejected { spans, cause: one_line(&partial.error_message, CAUSE_MAX) })
}

/// The exporter's client.
#[derive(Debug)]
pub struct Listening {
    pub client: reqwest::Client,
    pub heard: Heard,
}

#[async_trait::async_trait]
impl HttpClient for Listening {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.send_bytes(request).await?;
        if response.status().is_success() {
            self.heard.note(response.body());
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    fn answer(rejected_spans: i64, error_message: &str) -> Vec<u8> {
        let partial = ExportTracePartialSuccess { rejected_spans, error_message: error_message.into() };
        ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    #[test]
    fn spans_that_were_not_taken_are_heard_of_with_the_cause_and_once() {
        let heard = Heard::default();
        heard.note(&answer(2, "too\nold"));
        let rejected = heard.take().expect("some were not taken");
        assert_eq!((rejected.spans, rejected.cause.contains('\n')), (2, false));
        assert_eq!(heard.take(), None);
    }

    #[test]
    fn an_answer_that_tells_of_no_span_says_nothing() {
        for body in [vec![], answer(0, "a remark"), answer(-1, "nonsense"), vec![0xff; 4]] {
            assert_eq!(rejected(&body), None);
        }
    }
}
