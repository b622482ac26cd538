//! Connections. Each is used by one caller at a time, kept when it is whole, and closed when something went wrong on it.
//! Every wait has an end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Statement};

use super::{Address, Error, Place};
use crate::failure::Failure;

/// How often work is begun anew because of what others did at the same time.
const CROSSED_MAX: usize = 8;
/// A lock is waited for less long than an answer, so that the reason is told.
const LOCK_SHARE: u32 = 2;

/// One connection.
pub struct Line {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    driver: JoinHandle<()>,
    timeout: Duration,
}

impl Line {
    /// Connects. `more` is SQL for the session.
    pub async fn open(address: &Address, more: &str) -> Result<Self, Error> {
        let connecting = address.config.connect(address.tls.clone());
        let connected = tokio::time::timeout(address.connect_timeout, connecting).await;
        let (client, connection) = connected.map_err(|_| Error::Silent(address.connect_timeout))??;
        let driver = tokio::spawn(async move {
            // Whoever uses the connection is told of its end by the answer that he does not get.
            let _ = connection.await;
        });
        let line = Self { client, statements: Mutex::default(), driver, timeout: address.timeout };
        let limit = address.timeout.as_millis().max(1);
        let lock = (address.timeout / LOCK_SHARE).as_millis().max(1);
        // A frozen process must not hold its locks for ever, nor a vanished machine its session. What is committed must
        // survive a crash, so that a server which need not flush is told to; whoever waits for replicas goes on to.
        let session = format!(
            "SET search_path = \"{}\", public; SET statement_timeout = {limit}; SET lock_timeout = {lock}; \
             SET idle_in_transaction_session_timeout = {limit}; SET tcp_keepalives_idle = 10; \
             SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET client_min_messages = warning; \
             SELECT set_config('synchronous_commit', 'on', false) \
               WHERE current_setting('synchronous_commit') = 'off'; {more}",
            address.schema
        );
        line.within(line.client.batch_execute(&session)).await?;
        Ok(line)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits no longer for an answer than the configuration says.
    pub async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        // The server's own limit comes first; this one is for a server that is not heard any more.
        let limit = self.timeout + Duration::from_secs(1);
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::Silent(self.timeout)),
        }
    }

    /// Prepared once on each connection.
    pub async fn prepared(&self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = lock(&self.statements).get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.within(self.client.prepare(sql)).await?;
        lock(&self.statements).insert(sql, statement.clone());
        Ok(statement)
    }

    pub async fn run(&self, sql: &str) -> Result<(), Error> {
        self.within(self.client.batch_execute(sql)).await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Without its client it would end by itself, but for a server that does not answer.
        self.driver.abort();
    }
}

/// A few connections to one database.
pub struct Lines {
    address: Arc<Address>,
    place: Place,
    session: &'static str,
    idle: Mutex<Vec<Arc<Line>>>,
    turns: Semaphore,
}

impl Lines {
    /// At most `most` callers work at the same time; others wait for their turn. Connections are made when they are
    /// first needed.
    pub fn new(address: Arc<Address>, place: Place, most: usize, session: &'static str) -> Self {
        Self { address, place, session, idle: Mutex::default(), turns: Semaphore::new(most) }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Runs `work`, more than once when others stand in its way, or when a connection that was kept turns out to be dead.
    /// So the work begins and commits a transaction of its own, and must be harmless when it is repeated.
    pub async fn work<T, W>(&self, work: impl Fn(Arc<Line>) -> W) -> Result<T, Error>
    where
        W: Future<Output = Result<T, Error>>,
    {
        let gone = || self.place.unusable("its connections are closed", "restart");
        let _turn = self.turns.acquire().await.map_err(|_| gone())?;
        let (mut crossed, mut lost) = (0, 0);
        loop {
            let kept = lock(&self.idle).pop();
            let line = match kept {
                Some(line) => line,
                None => Arc::new(Line::open(&self.address, self.session).await?),
            };
            match work(line.clone()).await {
                Ok(done) => {
                    lock(&self.idle).push(line);
                    return Ok(done);
                }
                Err(error) if error.is_crossed() && crossed < CROSSED_MAX => {
                    crossed += 1;
                    if line.run("ROLLBACK").await.is_ok() {
                        lock(&self.idle).push(line);
                    }
                }
                // A silent one has taken its time already.
                Err(error) if error.is_lost() && lost == 0 && !matches!(error, Error::Silent(_)) => {
                    lost += 1;
                    // The others were made to the same server, which has gone since.
                    lock(&self.idle).clear();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The same, with what went wrong in words.
    pub async fn ask<T, W>(&self, work: impl Fn(Arc<Line>) -> W) -> Result<T, Failure>
    where
        W: Future<Output = Result<T, Error>>,
    {
        self.work(work).await.map_err(|error| self.place.failure(&error))
    }
}

/// Whole whatever a thread that panicked was doing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
