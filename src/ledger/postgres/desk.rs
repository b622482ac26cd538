//! Where requests wait. Each writer takes what is in its queue, runs it as one transaction and answers after the commit,
//! so that one flush of the server's disk serves many callers. All requests of a job go to the same writer, in order.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::{Shared, forget, page};
use crate::failure::Failure;
use crate::ledger::ending::Ending;
use crate::ledger::{Begin, Claim, Lease, LedgerError};

/// Most requests in one transaction.
const PAGE_MAX: usize = 256;
/// Most bytes of results in one transaction, beyond which one more may begin none.
const PAGE_BYTES_MAX: usize = 8 << 20;
/// Most requests that wait for one writer; a caller beyond that waits itself.
const QUEUE_MAX: usize = 1024;
/// Most tokens that are remembered because they may have reached nobody.
const UNANSWERED_MAX: usize = 100_000;

/// What is asked.
pub enum Ask {
    Begin(Box<Claim>),
    Store(Lease, Vec<u8>),
    Withhold(Lease),
    /// With the fault as JSON.
    Condemn(Lease, String),
    Settle(Lease, Box<Ending>),
}

/// What is answered.
pub enum Reply {
    Begun(Box<Begin>),
    Noted,
    /// The lease was taken over.
    Fenced,
    /// The instance was.
    Replaced,
}

pub struct Request {
    pub ask: Ask,
    pub now: i64,
    /// For a claim, once it has one: the same in every try, so that a claim whose commit had no answer is known again.
    pub token: AtomicI64,
    reply: oneshot::Sender<Result<Reply, LedgerError>>,
}

impl Request {
    /// Job, stage and pipeline.
    pub fn key(&self) -> (&str, &str, &str) {
        match &self.ask {
            Ask::Begin(claim) => (&claim.correlation.job.0, &claim.stage, &claim.pipeline),
            Ask::Store(lease, _) | Ask::Withhold(lease) | Ask::Condemn(lease, _) | Ask::Settle(lease, _) => {
                (&lease.job, &lease.stage, &lease.pipeline)
            }
        }
    }

    fn bytes(&self) -> usize {
        if let Ask::Store(_, result) = &self.ask { result.len() } else { 0 }
    }
}

/// The queues. Dropping it lets the writers finish what waits and end.
pub struct Desk {
    queues: Vec<mpsc::Sender<Request>>,
}

impl Desk {
    pub fn open(shared: &Arc<Shared>, writers: usize) -> Self {
        let queues = (0..writers).map(|number| {
            let (sender, queue) = mpsc::channel(QUEUE_MAX);
            tokio::spawn(write(shared.clone(), queue, number == 0));
            sender
        });
        Self { queues: queues.collect() }
    }

    pub async fn ask(&self, ask: Ask, now: i64) -> Result<Reply, LedgerError> {
        let gone = || {
            LedgerError::from(Failure("the job ledger's writer has ended; restart, the log says why".into()))
        };
        let (reply, answer) = oneshot::channel();
        let request = Request { ask, now, token: AtomicI64::new(0), reply };
        let mut hasher = DefaultHasher::new();
        request.key().hash(&mut hasher);
        let queue = usize::try_from(hasher.finish() % self.queues.len().max(1) as u64).unwrap_or(0);
        let queue = self.queues.get(queue).ok_or_else(gone)?;
        queue.send(request).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// A writer. One of them tidies up besides.
async fn write(shared: Arc<Shared>, mut queue: mpsc::Receiver<Request>, tidies: bool) {
    let (mut waiting, mut chore) = (Vec::with_capacity(PAGE_MAX), forget::Chore::default());
    while queue.recv_many(&mut waiting, PAGE_MAX).await > 0 {
        // Whoever has left before his turn asks for nothing.
        let mut left = std::mem::take(&mut waiting);
        left.retain(|request| !request.reply.is_closed());
        while !left.is_empty() {
            let rest = left.split_off(fitting(&left));
            shared.serve(left).await;
            left = rest;
        }
        if tidies {
            while chore.tidy(&shared).await && queue.is_empty() && !queue.is_closed() {}
        }
    }
}

/// How many of them go into one page.
fn fitting(requests: &[Request]) -> usize {
    let mut bytes = 0;
    let fits = |request: &Request| {
        let room = bytes < PAGE_BYTES_MAX;
        bytes += request.bytes();
        room
    };
    requests.iter().map(fits).take_while(|fits| *fits).count()
}

impl Shared {
    /// All in one transaction. When that fails for a reason that lies in one of them, each gets its own, so that nobody
    /// fails for a neighbour; when the database is the reason, all fail.
    async fn serve(&self, requests: Vec<Request>) {
        let turn = {
            let requests = &requests;
            self.lines
                .work(move |line| async move { Box::pin(page::turn(&line, self, requests)).await })
                .await
        };
        match turn {
            Ok(replies) => {
                requests.into_iter().zip(replies).for_each(|(request, reply)| self.answer(request, reply))
            }
            Err(error) if error.is_of_one() && requests.len() > 1 => {
                for request in requests {
                    Box::pin(self.serve(vec![request])).await;
                }
            }
            Err(error) => {
                let failure = self.lines.place().failure(&error);
                for request in requests {
                    self.reached_nobody(request.token.load(Ordering::Relaxed));
                    let _ = request.reply.send(Err(failure.clone().into()));
                }
            }
        }
    }

    /// A caller that has left meanwhile does not run the job that he was given.
    fn answer(&self, request: Request, reply: Reply) {
        let token = request.token.load(Ordering::Relaxed);
        if request.reply.send(Ok(reply)).is_err() {
            self.reached_nobody(token);
        }
    }

    /// Should the claim have been written all the same, its lease is nobody's: the job need not wait until it is over.
    fn reached_nobody(&self, token: i64) {
        let mut unanswered = self.unanswered();
        if token != 0 && unanswered.len() < UNANSWERED_MAX {
            unanswered.insert(token);
        }
    }

    pub fn unanswered(&self) -> MutexGuard<'_, std::collections::HashSet<i64>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
