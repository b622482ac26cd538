//! The stage's transactions, one at a time: begun when the engine says so, answered when Kafka has. It decides
//! nothing.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinHandle;

use super::hands::Hands;
use super::kit::Kit;
use crate::flow::engine::{Abort, SlotId};
use crate::flow::{Code, Fault};
use crate::kafka::consumer::Commit;
use crate::kafka::transaction::{Piece, TransactError, Transactor};
use crate::kafka::{Consumer, KafkaProblem};
use crate::message::OutRecord;
use crate::telemetry::metrics;

/// Makes the transactional producer, and ends whatever an earlier one of its name has left open.
pub type Open =
    Box<dyn Fn() -> futures::future::BoxFuture<'static, Result<Transactor, KafkaProblem>> + Send + Sync>;

/// Kafka's answer to a transaction.
pub struct Answer(Result<(), TransactError>);

/// See the module.
pub struct Transactions {
    kit: Arc<Kit>,
    open: Open,
    transactor: Option<Transactor>,
    running: Option<JoinHandle<Result<(), TransactError>>>,
    begun: Instant,
    records: usize,
}

impl Transactions {
    /// Waits until Kafka knows the producer.
    pub async fn open(kit: Arc<Kit>, open: Open) -> Result<Self, KafkaProblem> {
        let transactor = Some(open().await?);
        Ok(Self { kit, open, transactor, running: None, begun: Instant::now(), records: 0 })
    }

    /// Begins the next transaction.
    pub fn begin(
        &mut self,
        records: Vec<(SlotId, Arc<[OutRecord]>)>,
        offsets: Vec<Commit>,
        consumer: &Consumer,
    ) {
        self.begun = Instant::now();
        self.records = records.len();
        let batch = records.into_iter().map(|(slot, records)| Piece { tag: slot.0, records }).collect();
        let transaction =
            self.transactor.as_ref().map(|transactor| transactor.commit(batch, offsets, consumer));
        self.running = Some(tokio::spawn(async move {
            match transaction {
                Some(transaction) => transaction.await,
                None => Err(TransactError::Fenced { cause: "there is no transactional producer".into() }),
            }
        }));
    }

    /// Kafka's answer; never when no transaction runs. Safe to cancel.
    pub async fn answer(this: &mut Option<Self>) -> Answer {
        match this {
            Some(Self { running: Some(running), .. }) => {
                let answer = running.await;
                this.as_mut().and_then(|this| this.running.take());
                let broken =
                    |error: tokio::task::JoinError| TransactError::Fenced { cause: error.to_string() };
                let answer = answer.map_err(broken).and_then(|answer| answer);
                if let Some(this) = this {
                    this.count(&answer);
                }
                Answer(answer)
            }
            _ => std::future::pending().await,
        }
    }

    /// Kafka's answer to the transaction that runs, if one does.
    pub async fn last(&mut self) -> Option<Answer> {
        let answer = self.running.take()?.await;
        Some(Answer(answer.unwrap_or_else(|error| Err(TransactError::Fenced { cause: error.to_string() }))))
    }

    /// What the engine is told; the hands learn whether what they hold is produced.
    pub fn told(Answer(answer): Answer, hands: &mut Hands) -> Result<(), Abort> {
        let told = answer.map_err(|error| match error {
            TransactError::Record { tag, error } => {
                let slot = SlotId(tag);
                Abort::Record(slot, hands.refusal(slot, &error))
            }
            TransactError::Again { cause } => {
                let message =
                    format!("Kafka did not commit the transaction, and nothing of it can be seen: {cause}");
                Abort::Again(Fault::new(Code::OutputUnwritable, message).into())
            }
            TransactError::Stale { cause } => {
                tracing::debug!("the group changed during a transaction, which is repeated: {cause}");
                Abort::Stale
            }
            TransactError::Fenced { cause } => {
                tracing::warn!("kafka shut the stage's producer or consumer out: {cause}");
                Abort::Fenced
            }
        });
        match &told {
            Err(Abort::Fenced) => hands.doubt_transaction(),
            told => hands.end_transaction(told.is_ok()),
        }
        told
    }

    /// Begins anew: what an open transaction of ours has left is ended, before offsets are read again.
    pub async fn reopen(&mut self) {
        self.running = None;
        self.transactor = None;
        match (self.open)().await {
            Ok(transactor) => self.transactor = Some(transactor),
            // The next transaction says so again, and the stage tries again.
            Err(problem) => tracing::warn!("{problem}"),
        }
    }

    fn count(&self, answer: &Result<(), TransactError>) {
        let topics = &self.kit.topics;
        let end = match answer {
            Ok(()) => "committed",
            Err(TransactError::Fenced { .. }) => "fenced",
            Err(_) => "aborted",
        };
        metrics::transaction(&topics.pipeline, &topics.stage, end, self.records, self.begun.elapsed());
    }
}
