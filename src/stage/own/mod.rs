//! Stages of one's own: what a program that uses Lazaret as a library runs. They work on records as they are: bytes
//! in, bytes out. Like every stage they know nothing of Kafka, retries or offsets.

mod batch;
mod fault;
mod output;
mod record;

use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;

pub use self::batch::{BatchStage, Batched};
pub use self::fault::Fault;
pub use self::output::{Bytes, Output, OutputKey, Outputs};
pub use self::record::Record;

/// What is done to each record: one async method.
///
/// The record comes as it stands in the topic. What is returned goes to the output topic: nothing (`Outputs::none()`),
/// one record or many. An `Err` sends the record where its [`Fault`] says: onto the ladder (transient), to the dead
/// letter topic (permanent), or it pauses the stage (systemic). A panic is one record's permanent failure.
///
/// It must be safe to repeat: after a crash, or a failure of its own, a record is run again. It runs for as many records
/// at the same time as the service's `concurrency` allows; each call is given up after its `timeout`, which drops the
/// future.
///
/// ```
/// use lazaret::{Fault, Output, Outputs, Record, Stage};
///
/// struct Shout;
///
/// impl Stage for Shout {
///     async fn run(&self, record: Record) -> Result<Outputs, Fault> {
///         let text = record.text()?; // not UTF-8: a dead letter at once
///         Ok(Output::new(text.to_uppercase()).into())
///     }
/// }
/// ```
///
/// A function or closure will do as well: `async |record: Record| anyhow::Ok(Output::copy(&record))`.
pub trait Stage: Send + Sync + 'static {
    /// Works on one record.
    fn run(&self, record: Record) -> impl Future<Output = Result<Outputs, Fault>> + Send;
}

impl<F, R, O, E> Stage for F
where
    F: Fn(Record) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, E>> + Send,
    O: Into<Outputs>,
    E: Into<Fault>,
{
    async fn run(&self, record: Record) -> Result<Outputs, Fault> {
        self(record).await.map(Into::into).map_err(Into::into)
    }
}

/// Any stage of one's own, as a worker has it.
pub type OwnStage = Arc<dyn Erased>;

/// [`Stage`] behind a pointer.
pub trait Erased: Send + Sync {
    fn run_boxed(&self, record: Record) -> BoxFuture<'_, Result<Outputs, Fault>>;
}

impl<S: Stage> Erased for S {
    fn run_boxed(&self, record: Record) -> BoxFuture<'_, Result<Outputs, Fault>> {
        Box::pin(self.run(record))
    }
}
