//! Records and offsets in one step: a transaction writes both or neither, and readers of committed records see its
//! records only when it is committed. Says what became of it; what to do about that is the caller's decision.
//!
//! A transactor has one transaction open at a time, of producers that take turns: when Kafka has committed a transaction, it
//! still writes that into every partition, and until then the same producer may not go on. What the next one commits counts
//! as later all the same, since Kafka goes by the order in which it was told the offsets. librdkafka's calls block, so they
//! run on threads that may. Everything is bounded in time: the records by the delivery timeout, the rest by the time after
//! which the broker ends a transaction itself.

mod culprit;
mod steps;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::{Mutex, oneshot};
use tokio::time::error::Elapsed;

use self::steps::{Attached, Steps};
use super::client;
use super::consumer::{Commit, Consumer, Member};
use super::context::Context;
use super::delivery::{Client, Deliveries};
use super::problem::KafkaProblem;
use super::produce_error::ProduceError;
use crate::config::Kafka;
use crate::flow::Topology;
use crate::message::OutRecord;

/// Records that stand or fall together.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The caller's name for it, which comes back when one of its records cannot be written.
    pub tag: u64,
    pub records: Arc<[OutRecord]>,
}

/// What is committed with the records of a transaction.
pub enum Offsets {
    /// Known: they become part of it while its records are being written.
    Now(Conclusion),
    /// To be said when its records are written, which is told. Without them the transaction is undone.
    Later { written: Box<dyn FnOnce() + Send>, offsets: oneshot::Receiver<Option<Conclusion>> },
}

impl Offsets {
    /// These, by the consumer as it is now.
    pub fn now(offsets: Vec<Commit>, consumer: &Consumer) -> Self {
        Self::Now(Conclusion::new(offsets, consumer))
    }
}

/// Offsets, and who commits them.
#[derive(Default)]
pub struct Conclusion {
    offsets: Vec<Commit>,
    by: Option<Member>,
}

impl Conclusion {
    /// By the consumer as it is now.
    pub fn new(offsets: Vec<Commit>, consumer: &Consumer) -> Self {
        Self { offsets, by: consumer.member() }
    }
}

/// Why nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactError {
    /// This piece cannot be written as it is. The transaction was undone; the others may be tried again without it,
    /// for which once more may be necessary: librdkafka numbers its records anew.
    #[error("{error}")]
    Record { tag: u64, error: ProduceError },
    /// The transaction was undone, and may be tried again.
    #[error("the transaction was undone: {cause}")]
    Again { cause: String },
    /// The transaction was undone because the group has changed, and may be tried again once the changes of the
    /// assignment that are waiting have been taken in: with what is still ours then.
    #[error("the transaction was undone, because the group has changed: {cause}")]
    Stale { cause: String },
    /// The transaction was undone, because nobody wanted to conclude it, or not in time.
    #[error("the transaction was undone: {cause}")]
    Undone { cause: String },
    /// Another process has taken our place, or nobody can say whether the transaction was committed. What is in hand
    /// must be forgotten, this transactor dropped, and the committed offsets read again. A new transactor with the same
    /// name ends what was open.
    #[error("what became of the transaction is for a new start to find out: {cause}")]
    Fenced { cause: String },
}

/// Transactional producers, one after the other. Dropping them is bounded in time, and leaves a transaction that is open to
/// the next one of its name.
pub struct Transactor {
    /// Whose turn it is comes first. Held by the transaction that is open.
    producers: Arc<Mutex<VecDeque<Arc<Steps>>>>,
}

impl Transactor {
    /// Takes over these names, one for each producer: whoever had them before is fenced off, and what it had open is ended.
    /// They must be the same after a restart, and nobody else's.
    pub async fn open(kafka: &Kafka, topology: &Topology, ids: &[&str]) -> Result<Self, KafkaProblem> {
        let producers = ids.iter().map(|id| producer(kafka, topology, id));
        let producers = futures::future::try_join_all(producers).await?;
        Ok(Self { producers: Arc::new(Mutex::new(producers.into())) })
    }

    /// Writes these pieces and commits offsets with them, all or nothing. Either may be empty. Goes on to its end when
    /// nobody waits for it any more.
    pub fn commit(
        &self,
        batch: Vec<Piece>,
        offsets: Offsets,
    ) -> impl Future<Output = Result<(), TransactError>> + Send + use<> {
        let producers = self.producers.clone();
        async move {
            let run = tokio::spawn(async move {
                let mut producers = producers.lock().await;
                producers.rotate_left(1);
                match producers.front() {
                    Some(steps) => run(steps, &batch, offsets, async { Ok(()) }).await,
                    None => Err(TransactError::Fenced { cause: "there is no producer".into() }),
                }
            });
            run.await.unwrap_or_else(|e| Err(TransactError::Fenced { cause: e.to_string() }))
        }
    }
}

/// One transactional producer, for records without offsets.
pub struct Writer(Arc<Steps>);

impl Writer {
    /// Takes over the name, as [`Transactor::open`].
    pub async fn open(kafka: &Kafka, topology: &Topology, id: &str) -> Result<Self, KafkaProblem> {
        producer(kafka, topology, id).await.map(Self)
    }

    /// Writes these pieces, all or nothing. One transaction at a time: to be called again when this has returned.
    pub async fn write(&self, batch: Vec<Piece>) -> Result<(), TransactError> {
        self.write_if(batch, async { Ok(()) }).await
    }

    /// The same, if this still says so when the pieces stand in their logs: whatever is written behind them then comes
    /// after them, and whatever came before can be looked at.
    pub async fn write_if(
        &self,
        batch: Vec<Piece>,
        holds: impl Future<Output = Result<(), TransactError>> + Send + 'static,
    ) -> Result<(), TransactError> {
        let steps = self.0.clone();
        let run =
            tokio::spawn(
                async move { run(&steps, &batch, Offsets::Now(Conclusion::default()), holds).await },
            );
        run.await.unwrap_or_else(|e| Err(TransactError::Fenced { cause: e.to_string() }))
    }
}

async fn producer(kafka: &Kafka, topology: &Topology, id: &str) -> Result<Arc<Steps>, KafkaProblem> {
    let config = config(kafka, topology, id)?;
    let context = Context::default();
    let made: Result<Client, _> = config.create_with_context(Deliveries(context.clone()));
    let client = made.map_err(|e| KafkaProblem::properties(&e))?;
    let limit = kafka.transaction_timeout.0;
    let patience = limit + kafka.timeout.0;
    let delivery = limit.min(kafka.delivery_timeout.0);
    let steps = Arc::new(Steps::new(client, context, delivery, patience));
    let (begin, timeout) = (steps.clone(), kafka.timeout.0);
    let what = || format!("open transactions as '{id}'");
    let begun = tokio::task::spawn_blocking(move || begin.init(timeout)).await;
    match begun {
        Ok(Ok(())) => Ok(steps),
        Ok(Err(error)) => Err(problem(what(), &error, timeout)),
        Err(error) => Err(KafkaProblem::Other { what: what(), cause: error.to_string() }),
    }
}

/// How long the client may be late with an answer. librdkafka 2.12 never answers when the group's coordinator leaves the
/// cluster while it is asked: the request goes with the broker's thread, and its handler takes that for the end of the
/// client (`rd_kafka_txn_handle_TxnOffsetCommit`, `ERR__DESTROY`).
const SILENCE: Duration = Duration::from_secs(2);

async fn run(
    steps: &Arc<Steps>,
    batch: &[Piece],
    offsets: Offsets,
    holds: impl Future<Output = Result<(), TransactError>>,
) -> Result<(), TransactError> {
    steps.begin()?;
    let pieces: Vec<&Piece> = batch.iter().collect();
    let deliver = steps.deliver(&pieces);
    let (delivered, attached) = match offsets {
        // Side by side, since neither needs the other.
        Offsets::Now(conclusion) => futures::future::join(deliver, attach(steps, conclusion)).await,
        Offsets::Later { written, offsets } => {
            let delivered = deliver.await;
            let attached = match delivered {
                Ok(()) => {
                    written();
                    match said(steps, offsets).await {
                        Ok(conclusion) => attach(steps, conclusion).await,
                        Err(undone) => Ok(Err(undone)),
                    }
                }
                Err(_) => Ok(Ok(Attached::default())),
            };
            (delivered, attached)
        }
    };
    // While that call is pending nothing can be undone: whoever opens the name anew does it.
    let silent = |_| TransactError::Fenced { cause: "the client does not say what became of offsets".into() };
    let attached = attached.map_err(silent)?;
    let failed = match (delivered, attached) {
        (Ok(()), Ok(attached)) => match holds.await {
            Ok(()) => {
                blocking(steps, Steps::commit).await?;
                attached.note();
                return Ok(());
            }
            Err(refused) => refused,
        },
        // Where one fails, the other fails with it: the one that says why is told.
        (_, Err(fenced @ TransactError::Fenced { .. })) => fenced,
        (Err(TransactError::Again { .. }), Err(refused)) => refused,
        (Err(refused), _) | (Ok(()), Err(refused)) => refused,
    };
    match (blocking(steps, Steps::abort).await, failed) {
        (_, fenced @ TransactError::Fenced { .. }) => Err(fenced),
        (Err(worse), _) => Err(worse),
        (Ok(()), TransactError::Record { tag, error }) => Err(culprit::find(steps, batch, tag, error).await),
        // The client may have said why only after its refusal.
        (Ok(()), TransactError::Again { cause }) => {
            Err(TransactError::Again { cause: steps.explain(&cause) })
        }
        (Ok(()), failed) => Err(failed),
    }
}

/// The offsets that were to be said later. The broker ends a transaction that waits too long, and its producer with it.
async fn said(
    steps: &Steps,
    offsets: oneshot::Receiver<Option<Conclusion>>,
) -> Result<Conclusion, TransactError> {
    let undone = |cause: &str| TransactError::Undone { cause: cause.to_owned() };
    match tokio::time::timeout(steps.turn_max(), offsets).await {
        Ok(Ok(Some(conclusion))) => Ok(conclusion),
        Ok(_) => Err(undone("nobody wanted to conclude it")),
        Err(_) => Err(undone("its turn did not come in time")),
    }
}

/// `Err`: the client does not say.
async fn attach(
    steps: &Arc<Steps>,
    conclusion: Conclusion,
) -> Result<Result<Attached, TransactError>, Elapsed> {
    let Conclusion { offsets, by } = conclusion;
    let attach = blocking(steps, move |steps| steps.attach(&offsets, by));
    tokio::time::timeout(steps.attach_max() + SILENCE, attach).await
}

/// Runs a step where it may block.
async fn blocking<T: Send + 'static>(
    steps: &Arc<Steps>,
    step: impl FnOnce(&Steps) -> Result<T, TransactError> + Send + 'static,
) -> Result<T, TransactError> {
    let steps = steps.clone();
    let done = tokio::task::spawn_blocking(move || step(&steps)).await;
    done.unwrap_or_else(|e| Err(TransactError::Fenced { cause: e.to_string() }))
}

fn config(kafka: &Kafka, topology: &Topology, id: &str) -> Result<ClientConfig, KafkaProblem> {
    let mut config = client::producer(kafka, "run", topology.message_max(), topology.batch_max())?;
    let limit = kafka.transaction_timeout.0;
    let ms = |time: Duration| time.as_millis().to_string();
    // librdkafka wants none of these to outlast the transaction.
    let at_most = |config: &mut ClientConfig, name: &str, most: Duration| {
        let given = config.get(name).and_then(|given| given.parse().ok()).map(Duration::from_millis);
        config.set(name, ms(given.map_or(most, |given| given.min(most))));
    };
    at_most(&mut config, "delivery.timeout.ms", limit);
    at_most(&mut config, "socket.timeout.ms", limit);
    at_most(&mut config, "topic.metadata.propagation.max.ms", limit / 2);
    // A transaction gathers its records itself; waiting for more would only add to every hop.
    config.set("linger.ms", "0").set("transactional.id", id).set("transaction.timeout.ms", ms(limit));
    if !kafka.properties.contains_key("retry.backoff.ms") {
        // The producer's last transaction may still be being ended when it begins the next. Doubles up to a second.
        config.set("retry.backoff.ms", "1");
    }
    Ok(config)
}

/// Why the name could not be had.
fn problem(what: String, error: &KafkaError, waited: Duration) -> KafkaProblem {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::InvalidTransactionTimeout) => KafkaProblem::Config {
            place: "transaction_timeout".into(),
            message: "the brokers do not allow a transaction to be open so long (transaction.max.timeout.ms)"
                .into(),
        },
        Some(RDKafkaErrorCode::OperationTimedOut) => KafkaProblem::TimedOut { what, waited },
        _ => KafkaProblem::from_error(what, error),
    }
}

#[cfg(test)]
mod tests;
