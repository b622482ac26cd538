//! The stage's transactions, one at a time of each course: begun and concluded when the engine says so, answered when Kafka
//! has. It decides nothing.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::hands::Hands;
use super::kit::Kit;
use crate::flow::engine::{Abort, Course, Event, SlotId};
use crate::flow::{Code, Fault};
use crate::kafka::consumer::Commit;
use crate::kafka::transaction::{Conclusion, Offsets, Piece, TransactError, Transactor};
use crate::kafka::{Consumer, KafkaProblem};
use crate::message::OutRecord;
use crate::telemetry::metrics;

/// Makes the transactional producers of each course, and ends whatever earlier ones of their names have left open.
pub type Open = Box<dyn Fn() -> BoxFuture<'static, Result<[Transactor; 2], KafkaProblem>> + Send + Sync>;

/// Of each course there is one transaction, which is written once and ends once.
const NEWS_MAX: usize = 4;

/// What is heard of a transaction.
enum News {
    /// Its records are written.
    Written,
    /// Kafka's answer.
    Ended(Result<(), TransactError>),
}

/// See [`Transactions::told`].
pub struct Answer(Course, News);

struct Running {
    conclude: Option<oneshot::Sender<Option<Conclusion>>>,
    begun: Instant,
    records: usize,
}

/// See the module.
pub struct Transactions {
    kit: Arc<Kit>,
    open: Open,
    transactors: Option<[Transactor; 2]>,
    running: [Option<Running>; 2],
    tell: mpsc::Sender<Answer>,
    told: mpsc::Receiver<Answer>,
}

impl Transactions {
    /// Waits until Kafka knows the producers.
    pub async fn open(kit: Arc<Kit>, open: Open) -> Result<Self, KafkaProblem> {
        let transactors = Some(open().await?);
        let (tell, told) = mpsc::channel(NEWS_MAX);
        Ok(Self { kit, open, transactors, running: [None, None], tell, told })
    }

    /// Begins the next transaction of this course. Without offsets it waits, once it is written, for its conclusion.
    pub fn begin(
        &mut self,
        course: Course,
        records: Vec<(SlotId, Arc<[OutRecord]>)>,
        offsets: Option<Vec<Commit>>,
        consumer: &Consumer,
    ) {
        let mut running = Running { conclude: None, begun: Instant::now(), records: records.len() };
        let offsets = match offsets {
            Some(offsets) => Offsets::now(offsets, consumer),
            None => {
                let (conclude, offsets) = oneshot::channel();
                running.conclude = Some(conclude);
                let tell = self.tell.clone();
                // Whoever does not listen any more has begun anew.
                let written = move || _ = tell.try_send(Answer(course, News::Written));
                Offsets::Later { written: Box::new(written), offsets }
            }
        };
        self.running[course as usize] = Some(running);
        let batch = records.into_iter().map(|(slot, records)| Piece { tag: slot.0, records }).collect();
        let transactor = self.transactors.as_ref().map(|transactors| &transactors[course as usize]);
        let transaction = transactor.map(|transactor| transactor.commit(batch, offsets));
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let answer = match transaction {
                Some(transaction) => transaction.await,
                None => Err(TransactError::Fenced { cause: "there is no transactional producer".into() }),
            };
            let _ = tell.send(Answer(course, News::Ended(answer))).await;
        });
    }

    /// Commits what is written with these offsets, or undoes it.
    pub fn conclude(&mut self, course: Course, offsets: Option<Vec<Commit>>, consumer: &Consumer) {
        let running = self.running[course as usize].as_mut();
        if let Some(conclude) = running.and_then(|running| running.conclude.take()) {
            // Where nobody hears it, the transaction has failed, and says so.
            let _ = conclude.send(offsets.map(|offsets| Conclusion::new(offsets, consumer)));
        }
    }

    /// What is heard next of a transaction; never when none runs. Safe to cancel.
    pub async fn answer(this: &mut Option<Self>) -> Answer {
        match this {
            Some(this) => this.next().await,
            None => std::future::pending().await,
        }
    }

    async fn next(&mut self) -> Answer {
        match self.told.recv().await {
            Some(answer) => {
                self.ended(&answer);
                answer
            }
            // Not while we could tell it ourselves.
            None => std::future::pending().await,
        }
    }

    /// Waits for the answers to the transactions that run; what waits for its conclusion is undone.
    pub async fn finish(&mut self, hands: &mut Hands) {
        for running in self.running.iter_mut().flatten() {
            running.conclude = None;
        }
        while self.running.iter().any(Option::is_some) {
            Self::told(self.next().await, hands);
        }
    }

    /// What the engine is told; the hands learn whether what they hold is produced.
    pub fn told(Answer(course, news): Answer, hands: &mut Hands) -> Event {
        let answer = match news {
            News::Written => return Event::Written(course),
            News::Ended(answer) => answer,
        };
        let result = answer.map_err(|error| match error {
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
            TransactError::Undone { cause } => {
                tracing::debug!("a transaction was undone: {cause}");
                Abort::Undone
            }
            TransactError::Fenced { cause } => {
                tracing::warn!("kafka shut the stage's producer or consumer out: {cause}");
                Abort::Fenced
            }
        });
        match &result {
            Err(Abort::Fenced) => hands.doubt_transactions(),
            result => hands.end_transaction(course, result.is_ok()),
        }
        Event::Transacted { course, result }
    }

    /// Begins anew: what open transactions of ours have left is ended, before offsets are read again.
    pub async fn reopen(&mut self) {
        self.running = [None, None];
        (self.tell, self.told) = mpsc::channel(NEWS_MAX);
        self.transactors = None;
        match (self.open)().await {
            Ok(transactors) => self.transactors = Some(transactors),
            // The next transaction says so again, and the stage tries again.
            Err(problem) => tracing::warn!("{problem}"),
        }
    }

    fn ended(&mut self, Answer(course, news): &Answer) {
        let News::Ended(answer) = news else { return };
        let Some(Running { begun, records, .. }) = self.running[*course as usize].take() else { return };
        let topics = &self.kit.topics;
        let end = match answer {
            Ok(()) => "committed",
            Err(TransactError::Fenced { .. }) => "fenced",
            Err(_) => "aborted",
        };
        metrics::transaction(&topics.pipeline, &topics.stage, end, records, begun.elapsed());
    }
}
