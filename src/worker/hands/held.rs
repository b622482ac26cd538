//! A record in the engine's window, as the hands have it.

use jiff::Timestamp;
use tracing::Span;

use super::Cancel;
use crate::flow::engine::Publish;
use crate::ledger::End;
use crate::message::{Envelope, OutRecord, Topic};
use crate::telemetry::log;
use crate::worker::kit::Kit;
use crate::worker::work::Work;

/// See the module.
pub struct Held {
    /// `None` while a task has it.
    pub work: Option<Box<Work>>,
    /// Of the task that has it.
    pub cancel: Option<Cancel>,
    /// Its ids, for lines about it. One that has not been begun needs none.
    pub span: Option<Span>,
    pub topic: Topic,
    pub due: Option<Timestamp>,
    /// Where it goes, once that is decided.
    pub what: Option<Publish>,
}

impl Held {
    pub fn new(work: Work) -> Self {
        let (topic, due) = (work.record.at.topic.clone(), work.due());
        Self { work: Some(Box::new(work)), cancel: None, span: None, topic, due, what: None }
    }

    /// Where it went, as the ledger is told.
    pub fn end(&self) -> Option<&End> {
        self.work.as_ref()?.prepared.as_ref().map(|prepared| &prepared.end)
    }

    /// Made when there is something to say, or code to run that may. None while a task has it.
    pub fn span(&mut self, kit: &Kit) -> &mut Span {
        let of = |work: &Work| {
            let Envelope { trail, correlation, .. } = &*work.envelope;
            let (pipeline, stage) = (&kit.topics.pipeline, &kit.topics.stage);
            log::record_span(pipeline, stage, correlation, &work.record.at, trail.attempt + 1)
        };
        let work = self.work.as_deref();
        self.span.get_or_insert_with(|| {
            let span = work.map_or_else(Span::none, of);
            // An attempt that is still to begin says it itself.
            if let Some(attempt) = work.and_then(|work| work.attempt.as_ref()) {
                log::record_span_id(&span, attempt.id());
            }
            span
        })
    }

    /// Whether Kafka has what it became.
    pub fn is_produced(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.produced)
    }

    /// What was made ready to be produced.
    pub fn records(&self) -> &[OutRecord] {
        self.work.as_deref().map(Work::records).unwrap_or_default()
    }
}
