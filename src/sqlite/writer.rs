//! The one thread that writes. It takes whatever waits in its queue, runs it in one transaction and answers
//! after the commit, so that one flush of the disk serves many callers. It never answers before.

use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::Place;
use crate::failure::Failure;

/// Most pieces of work in one transaction.
const BATCH_MAX: usize = 256;
/// Most pieces of work that wait; a caller beyond that waits itself.
const QUEUE_MAX: usize = 1024;

/// Work that runs when the batch is committed. True when there is more to do at once.
type Chore = Box<dyn FnMut(&Connection) -> rusqlite::Result<bool> + Send>;

/// Handle to the thread. Dropping it lets the thread finish what waits, close the file and end.
pub struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
    place: Place,
}

impl Writer {
    /// Starts the thread. `chore` runs in a transaction of its own after every batch, and again for as long
    /// as it says that there is more and nothing else waits.
    pub fn start(
        db: Connection,
        place: Place,
        chore: impl FnMut(&Connection) -> rusqlite::Result<bool> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let mut desk = Desk { db, place: place.clone(), chore: Box::new(chore) };
        let thread = std::thread::Builder::new()
            .name(format!("{} writer", place.what))
            .spawn(move || desk.serve(queue))
            .map_err(|e| {
                place.unusable(format!("no thread can be started ({e})"), "raise the limit of processes")
            })?;
        Ok(Self { queue: Some(sender), thread: Some(thread), place })
    }

    /// Runs `work` inside a transaction; `Ok` means that it is durable. The work may be run more than once,
    /// each time from the state before it, so it must have no effect but on the database.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Call { work, outcome: None, reply };
        let gone = || self.place.unusable("its writer has ended", "restart; the log says why it ended");
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.send(Box::new(call)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    /// Waits for the thread, so that whoever opens the file next finds it closed.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened, and its callers have got errors.
            let _ = thread.join();
        }
    }
}

/// A piece of work whose result type is its own affair.
trait Work: Send {
    /// False when nobody waits for the answer any more and the work has not begun.
    fn wanted(&self) -> bool;
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, end: Result<(), Failure>);
}

struct Call<T, F> {
    work: F,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl<T: Send, F: FnMut(&Connection) -> rusqlite::Result<T> + Send> Work for Call<T, F> {
    fn wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.outcome = Some((self.work)(db)?);
        Ok(())
    }

    fn answer(self: Box<Self>, end: Result<(), Failure>) {
        let result = match (end, self.outcome) {
            (Ok(()), Some(outcome)) => Ok(outcome),
            (Ok(()), None) => Err(Failure("the work was never run".into())),
            (Err(failure), _) => Err(failure),
        };
        // The caller may have given up; the work is done all the same.
        let _ = self.reply.send(result);
    }
}

/// What the thread works with.
struct Desk {
    db: Connection,
    place: Place,
    chore: Chore,
}

impl Desk {
    fn serve(&mut self, mut queue: mpsc::Receiver<Box<dyn Work>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            batch.retain(|work| work.wanted());
            self.commit(std::mem::take(&mut batch));
            while self.tidy() && queue.is_empty() && !queue.is_closed() {}
        }
    }

    /// All in one transaction. When that fails for a reason that lies in one of them, each gets its own, so
    /// that nobody fails for a neighbour; when the file is the reason, all fail.
    fn commit(&mut self, mut batch: Vec<Box<dyn Work>>) {
        let alone = batch.len() == 1;
        match transact(&mut self.db, |db| batch.iter_mut().try_for_each(|work| work.run(db))) {
            Ok(()) => batch.into_iter().for_each(|work| work.answer(Ok(()))),
            Err(error) if alone || concerns_all(&error) => {
                let failure = self.place.sqlite(&error);
                batch.into_iter().for_each(|work| work.answer(Err(failure.clone())));
            }
            Err(_) => batch.into_iter().for_each(|work| self.commit(vec![work])),
        }
    }

    fn tidy(&mut self) -> bool {
        let Self { db, chore, .. } = self;
        match transact(db, |db| chore(db)) {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(error = %self.place.sqlite(&error), "could not tidy up");
                false
            }
        }
    }
}

/// Runs and commits, or leaves everything as it was. SQLite itself rolls back on some errors, such as a full
/// disk; the transaction guard knows and rolls back only where it has to.
fn transact<T>(
    db: &mut Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// True when the file or its disk is the reason, so that trying one by one is of no use.
fn concerns_all(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::CannotOpen
                | ErrorCode::NotADatabase
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::SystemIoFailure
        )
    )
}
