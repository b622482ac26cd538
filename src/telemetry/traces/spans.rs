//! Spans as OpenTelemetry has them, made of what was noted. Payloads, keys of records and prompts are in none of them.

use std::borrow::Cow;

use jiff::Timestamp;
use opentelemetry::trace::{Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::Together;
use super::attempt::{Attempt, End, Subject, new_id};
use super::calls::Called;
use super::conventions::{self as names, Names};
use crate::flow::Fault;
use crate::message::id::TraceContext;
use crate::message::trail::rfc3339;
use crate::message::{Correlation, SpanId};

/// See the module.
#[derive(Debug)]
pub struct Spans {
    names: Names,
    scope: InstrumentationScope,
}

impl Spans {
    pub fn new(names: Names) -> Self {
        let scope = InstrumentationScope::builder("lazaret").with_version(env!("CARGO_PKG_VERSION"));
        Self { names, scope: scope.build() }
    }

    /// The attempt, its calls, and what it hangs on if nobody else has made that.
    pub fn of(&self, attempt: &Attempt, subject: &Subject<'_>, end: &End<'_>, now: Timestamp) -> Together {
        let trail = &subject.envelope.trail;
        let is_first = trail.attempt == 0 && trail.redrives == 0;
        let root = (attempt.is_root && is_first).then(|| self.root(attempt, subject));
        let calls = attempt.calls.iter().map(|call| self.call(attempt, call));
        root.into_iter().chain([self.attempt(attempt, subject, end, now)]).chain(calls).collect()
    }

    /// The beginning of a trace that nobody began: the record came into being. It is the same however often it is sent, and
    /// attempts, retries and redrives all hang on it.
    fn root(&self, attempt: &Attempt, subject: &Subject<'_>) -> SpanData {
        let origin = &subject.envelope.trail.origin;
        let at =
            origin.timestamp.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(attempt.begun);
        let mut attributes = self.messaging("create", &origin.topic);
        belongs(&mut attributes, &subject.envelope.correlation);
        SpanData {
            span_kind: SpanKind::Producer,
            attributes,
            ..self.span(&attempt.context, attempt.context.span, format!("create {}", origin.topic), (at, at))
        }
    }

    fn attempt(&self, attempt: &Attempt, subject: &Subject<'_>, end: &End<'_>, now: Timestamp) -> SpanData {
        let topic = &subject.record.at.topic;
        let times = (attempt.begun, attempt.over.unwrap_or(now));
        SpanData {
            parent_span_id: span_id(attempt.context.span),
            parent_span_is_remote: true,
            span_kind: SpanKind::Consumer,
            attributes: self.about(attempt, subject, end),
            links: links(attempt, subject),
            status: end.fault().map_or(Status::Unset, |fault| Status::error(fault.message.clone())),
            ..self.span(&attempt.context, attempt.id, format!("process {topic}"), times)
        }
    }

    fn about(&self, attempt: &Attempt, subject: &Subject<'_>, end: &End<'_>) -> Vec<KeyValue> {
        let Subject { record, envelope, .. } = subject;
        let mut attributes = self.messaging("process", &record.at.topic);
        self.names.put(&mut attributes, names::OFFSET, record.at.offset);
        match &record.value {
            Some(value) => attributes.push(number(names::BODY_SIZE, value.len())),
            None => self.names.put(&mut attributes, names::TOMBSTONE, true),
        }
        attributes.extend([
            KeyValue::new(names::PARTITION, record.at.partition.to_string()),
            KeyValue::new(names::GROUP, subject.group.to_owned()),
            KeyValue::new(names::PIPELINE, subject.pipeline.to_owned()),
            KeyValue::new(names::STAGE, subject.stage.to_owned()),
            KeyValue::new(names::ATTEMPT, i64::from(envelope.trail.attempt) + 1),
            KeyValue::new(names::REDRIVES, i64::from(envelope.trail.redrives)),
            KeyValue::new(names::OUTCOME, end.name()),
        ]);
        belongs(&mut attributes, &envelope.correlation);
        if attempt.replayed {
            attributes.push(KeyValue::new(names::REPLAYED, true));
        }
        if let Some(Fault { code, class, .. }) = end.fault() {
            attributes.push(KeyValue::new(names::ERROR_TYPE, code.as_str()));
            attributes.push(KeyValue::new(names::ERROR_CLASS, class.to_string()));
        }
        match end {
            End::Retry { due, .. } => attributes.push(KeyValue::new(names::RETRY_DUE, rfc3339(*due))),
            End::Dead { id, .. } => attributes.push(KeyValue::new(names::DLQ_ID, (*id).to_owned())),
            End::Ok | End::Paused { .. } | End::Parked { .. } | End::Discarded | End::Released { .. } => {}
        }
        attributes
    }

    fn call(&self, attempt: &Attempt, called: &Called) -> SpanData {
        let (endpoint, answered) = (&called.endpoint, &called.answered);
        let operation = endpoint.operation.as_str();
        let mut attributes = vec![
            KeyValue::new(names::GEN_AI_OPERATION, operation),
            // What it speaks. Which of those that speak it was asked is told beside it.
            KeyValue::new(names::GEN_AI_PROVIDER, "openai"),
            KeyValue::new(names::GEN_AI_REQUEST_MODEL, endpoint.model.clone()),
            KeyValue::new(names::SERVER_ADDRESS, endpoint.address.clone()),
            KeyValue::new(names::PROVIDER, endpoint.provider.clone()),
            KeyValue::new(names::PURPOSE, endpoint.purpose),
        ];
        let model = answered.model.clone().map(|model| KeyValue::new(names::GEN_AI_RESPONSE_MODEL, model));
        let reason = answered.finish_reason.clone().map(StringValue::from);
        let reasons =
            |reason| KeyValue::new(names::GEN_AI_FINISH_REASONS, Value::Array(Array::String(vec![reason])));
        let port = endpoint.port.map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port)));
        let status = answered.status.map(|status| KeyValue::new(names::HTTP_STATUS, i64::from(status)));
        let error = called.error.as_ref().map(|(code, _)| KeyValue::new(names::ERROR_TYPE, *code));
        let tokens = answered.spent.map(|spent| {
            [
                number(names::GEN_AI_INPUT_TOKENS, spent.input),
                number(names::GEN_AI_OUTPUT_TOKENS, spent.output),
            ]
        });
        attributes.extend([model, reason.map(reasons), port, status, error].into_iter().flatten());
        attributes.extend(tokens.into_iter().flatten());
        let name = format!("{operation} {}", endpoint.model);
        SpanData {
            parent_span_id: span_id(attempt.id),
            span_kind: SpanKind::Client,
            attributes,
            status: called.error.as_ref().map_or(Status::Unset, |(_, cause)| Status::error(cause.clone())),
            ..self.span(&attempt.context, new_id(), name, (called.begun, called.ended))
        }
    }

    fn messaging(&self, operation: &'static str, topic: &str) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(24);
        self.names.put(&mut attributes, names::SYSTEM, "kafka");
        attributes.extend([
            KeyValue::new(names::OPERATION_NAME, operation),
            KeyValue::new(names::OPERATION_TYPE, operation),
            KeyValue::new(names::DESTINATION, topic.to_owned()),
        ]);
        attributes
    }

    fn span(
        &self,
        trace: &TraceContext,
        id: SpanId,
        name: impl Into<Cow<'static, str>>,
        (begun, ended): (Timestamp, Timestamp),
    ) -> SpanData {
        SpanData {
            span_context: context(trace, id, false),
            parent_span_id: opentelemetry::SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: begun.into(),
            // The clock of a machine may be put back.
            end_time: ended.max(begun).into(),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The attempt before this one, if it was traced.
fn links(attempt: &Attempt, subject: &Subject<'_>) -> SpanLinks {
    let trail = &subject.envelope.trail;
    let mut links = SpanLinks::default();
    if let Some(before) = trail.span {
        let why = if trail.attempt == 0 { "redrive" } else { "retry" };
        let why = vec![KeyValue::new(names::LINK, why)];
        links.links.push(Link::new(context(&attempt.context, before, true), why, 0));
    }
    links
}

/// Whose record it is.
fn belongs(attributes: &mut Vec<KeyValue>, correlation: &Correlation) {
    attributes.push(KeyValue::new(names::JOB_ID, correlation.job.0.clone()));
    let tenant = correlation.tenant.clone().map(|id| KeyValue::new(names::TENANT_ID, id));
    let resource = correlation.resource.clone().map(|id| KeyValue::new(names::RESOURCE_ID, id));
    attributes.extend(tenant.into_iter().chain(resource));
}

fn context(trace: &TraceContext, id: SpanId, is_remote: bool) -> SpanContext {
    SpanContext::new(trace.trace.into(), span_id(id), TraceFlags::SAMPLED, is_remote, TraceState::default())
}

fn span_id(id: SpanId) -> opentelemetry::SpanId {
    opentelemetry::SpanId::from_bytes(id.0.get().to_be_bytes())
}

fn number<N: TryInto<i64>>(name: &'static str, number: N) -> KeyValue {
    KeyValue::new(name, Value::I64(number.try_into().unwrap_or(i64::MAX)))
}
