//! Several records in one call: a stage that is asked for batches, behind one that is asked for records. Each record
//! stays its own: it has its own answer, time-out, attempts and dead letter.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::sync::oneshot;

use super::{Fault, Outputs, Record, Stage};
use crate::flow::fault::panicked;

/// What is done to several records at once, such as one request to an embedding server.
///
/// The answer has one result for each record, in their order: records of a batch fail one by one. When it panics and the
/// batch had several records, each of them is tried by itself, so that one bad record does not take the others with it.
pub trait BatchStage: Send + Sync + 'static {
    /// Works on a batch, which is never empty.
    fn run(&self, records: &[Record]) -> impl Future<Output = Vec<Result<Outputs, Fault>>> + Send;
}

/// Gathers records for a [`BatchStage`].
pub struct Batched<B>(Arc<Gather<B>>);

struct Gather<B> {
    stage: B,
    max: usize,
    linger: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    records: Vec<Member>,
    /// How many batches have been begun: tells a batch's own linger from an earlier one's.
    batches: u64,
}

struct Member {
    record: Record,
    answer: oneshot::Sender<Result<Outputs, Fault>>,
}

impl<B: BatchStage> Batched<B> {
    /// A batch is begun when it has `max` records, and else `linger` after its first.
    pub fn new(stage: B, max: usize, linger: Duration) -> Self {
        Self(Arc::new(Gather { stage, max: max.max(1), linger, waiting: Mutex::default() }))
    }
}

impl<B: BatchStage> Stage for Batched<B> {
    async fn run(&self, record: Record) -> Result<Outputs, Fault> {
        let (answer, answered) = oneshot::channel();
        self.0.clone().join(Member { record, answer });
        answered.await.unwrap_or_else(|_| Err(Fault::transient("the batch was given up")))
    }
}

impl<B: BatchStage> Gather<B> {
    fn join(self: Arc<Self>, member: Member) {
        let mut waiting = self.lock();
        waiting.records.push(member);
        if waiting.records.len() >= self.max {
            let batch = waiting.take();
            drop(waiting);
            tokio::spawn(self.run(batch));
        } else if waiting.records.len() == 1 {
            let number = waiting.batches;
            drop(waiting);
            tokio::spawn(self.linger(number));
        }
    }

    async fn linger(self: Arc<Self>, number: u64) {
        tokio::time::sleep(self.linger).await;
        let batch = {
            let mut waiting = self.lock();
            if waiting.batches != number {
                return;
            }
            waiting.take()
        };
        self.run(batch).await;
    }

    /// Boxed, as it calls itself.
    fn run(self: Arc<Self>, mut batch: Vec<Member>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // Those that were given up meanwhile cost nothing.
            batch.retain(|member| !member.answer.is_closed());
            if batch.is_empty() {
                return;
            }
            let records: Vec<Record> = batch.iter().map(|member| member.record.clone()).collect();
            let all_gone = join_all(batch.iter_mut().map(|member| member.answer.closed()));
            let ran = tokio::select! {
                ran = AssertUnwindSafe(self.stage.run(&records)).catch_unwind() => ran,
                _ = all_gone => return,
            };
            match ran {
                Ok(results) if results.len() == batch.len() => {
                    for (member, result) in batch.into_iter().zip(results) {
                        let _ = member.answer.send(result);
                    }
                }
                Ok(results) => {
                    let (given, had) = (results.len(), batch.len());
                    let message = format!("the stage gave {given} results for a batch of {had} records");
                    answer_all(batch, &Fault::systemic(message));
                }
                Err(panic) if batch.len() == 1 => answer_all(batch, &Fault(panicked(panic.as_ref()))),
                Err(_) => {
                    join_all(batch.into_iter().map(|member| self.clone().run(vec![member]))).await;
                }
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Vec<Member> {
        self.batches += 1;
        std::mem::take(&mut self.records)
    }
}

fn answer_all(batch: Vec<Member>, fault: &Fault) {
    for member in batch {
        let _ = member.answer.send(Err(fault.clone()));
    }
}
