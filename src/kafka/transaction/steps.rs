//! The steps of a transaction, each with what its failure means. All but `deliver` block.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;

use super::{Piece, TransactError};
use crate::kafka::client::dispose;
use crate::kafka::consumer::{Commit, Member, Noted, positions};
use crate::kafka::context::Context;
use crate::kafka::delivery::{self, Client, Loading, Refused, Reports};
use crate::kafka::produce_error::ProduceError;

/// One call to librdkafka that goes on by itself in the meantime and is asked again.
pub(super) const SLICE: Duration = Duration::from_secs(2);
/// Longest time to make offsets part of a transaction: about what a coordinator takes to move to another broker. A
/// transaction that waits longer is undone and tried again.
const ATTACH: Duration = Duration::from_secs(10);
/// Between two questions, and while the producer's queue is full.
const PAUSE: Duration = Duration::from_millis(20);
const MOMENT: Duration = Duration::from_micros(100);

/// See the module.
pub struct Steps {
    /// `None` only while it is being dropped.
    client: Option<Client>,
    context: Context,
    /// For one record.
    delivery: Duration,
    /// For one step.
    patience: Duration,
}

/// Offsets that belong to the transaction, to be noted when it is committed.
#[derive(Default)]
pub struct Attached(Option<(Noted, TopicPartitionList)>);

impl Attached {
    /// Tells the consumer what Kafka has as committed now.
    pub fn note(self) {
        if let Some((noted, offsets)) = self.0 {
            noted.commit(&offsets);
        }
    }
}

impl Steps {
    pub fn new(client: Client, context: Context, delivery: Duration, patience: Duration) -> Self {
        Self { client: Some(client), context, delivery, patience }
    }

    /// Takes over the transactional id.
    pub fn init(&self, timeout: Duration) -> Result<(), KafkaError> {
        let client = self.client().map_err(|_| KafkaError::Canceled)?;
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match client.init_transactions(left.min(SLICE)) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !left.is_zero() => pause(),
                done => return done,
            }
        }
    }

    /// Begins a transaction. Does not talk to the cluster.
    pub fn begin(&self) -> Result<(), TransactError> {
        let client = self.client()?;
        // A transaction that cannot begin means that the one before has not ended, or that the client is dead.
        client.begin_transaction().map_err(|e| fenced("begin a transaction", &e))
    }

    /// Hands everything over, in order, and waits for every acknowledgement. The first record that fails ends it; a
    /// full queue holds it back.
    pub async fn deliver(&self, batch: &[&Piece]) -> Result<(), TransactError> {
        let client = self.client()?;
        let reports = Arc::new(Reports::default());
        for piece in batch {
            let loading = Loading::new(piece.records.clone(), piece.tag, reports.clone());
            loading.finish(&client, self.delivery).await;
        }
        let mut left = batch.len();
        while left > 0 {
            for (tag, report) in reports.next().await {
                report.map_err(|refused| self.refused(&client, tag, refused))?;
                left -= 1;
            }
        }
        Ok(())
    }

    fn refused(&self, client: &Client, tag: u64, refused: Refused) -> TransactError {
        use RDKafkaErrorCode as Code;
        let code = refused.error.rdkafka_error_code();
        let undone = matches!(code, Some(Code::PurgeQueue | Code::PurgeInflight | Code::State));
        match ProduceError::sort(refused, delivery::fatal(client), &self.context) {
            // Not for its own sake: the transaction had failed already.
            error if undone => TransactError::Again { cause: error.to_string() },
            error => TransactError::Record { tag, error },
        }
    }

    /// Makes the offsets part of the transaction. The group's coordinator refuses them when the group has moved on.
    pub fn attach(&self, offsets: &[Commit], member: Option<Member>) -> Result<Attached, TransactError> {
        if offsets.is_empty() {
            return Ok(Attached(None));
        }
        let again = |cause: String| TransactError::Again { cause };
        let member = member.ok_or_else(|| again("the consumer is closed".into()))?;
        let list = positions(offsets).map_err(|e| again(e.to_string()))?;
        let stale = |cause: String| TransactError::Stale { cause };
        let (identity, noted) = member.identify(offsets).map_err(stale)?;
        match self.client()?.send_offsets_to_transaction(&list, &identity, self.attach_max()) {
            Ok(()) => Ok(Attached(Some((noted, list)))),
            Err(error) if is_final(&error) => Err(fenced("commit offsets in a transaction", &error)),
            Err(error) if has_moved_on(&error) => Err(stale(error.to_string())),
            Err(error) => Err(again(format!("its offsets were refused: {}", self.context.explain(&error)))),
        }
    }

    /// How long [`attach`](Self::attach) may take by itself.
    pub fn attach_max(&self) -> Duration {
        self.delivery.min(ATTACH)
    }

    /// How long what is written may wait for its offsets: then enough of the broker's time is left to end it.
    pub fn turn_max(&self) -> Duration {
        self.delivery / 2
    }

    /// Commits. A late answer is waited for, since the commit may have happened; when it does not come at all, nobody
    /// here can say.
    pub fn commit(&self) -> Result<(), TransactError> {
        let client = self.client()?;
        // A record counts as on its way until a moment after its acknowledgement was handed out, and whoever commits
        // within that moment is made to wait for 100 ms.
        let begun = Instant::now();
        while client.in_flight_count() > 0 && begun.elapsed() < PAUSE {
            std::thread::park_timeout(MOMENT);
        }
        self.until_done("commit a transaction", || client.commit_transaction(SLICE), is_retriable)
    }

    /// A cause with the trouble that may be behind it.
    pub fn explain(&self, cause: &str) -> String {
        self.context.explain(cause)
    }

    /// Undoes everything. When that fails, the transaction is open until a new transactor or the broker ends it.
    pub fn abort(&self) -> Result<(), TransactError> {
        let client = self.client()?;
        let may_go_on = |error: &KafkaError| match error {
            KafkaError::Transaction(error) => error.is_retriable() || error.txn_requires_abort(),
            _ => false,
        };
        self.until_done("undo a transaction", || client.abort_transaction(SLICE), may_go_on)
    }

    fn until_done(
        &self,
        what: &str,
        call: impl Fn() -> Result<(), KafkaError>,
        may_go_on: impl Fn(&KafkaError) -> bool,
    ) -> Result<(), TransactError> {
        let (begun, mut told) = (Instant::now(), false);
        loop {
            match call() {
                Ok(()) => return Ok(()),
                Err(error) if may_go_on(&error) && begun.elapsed() < self.patience => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!("waiting to {what}: {}", self.context.explain(&error));
                    }
                    pause();
                }
                Err(error) => return Err(fenced(what, &error)),
            }
        }
    }

    fn client(&self) -> Result<Client, TransactError> {
        self.client.clone().ok_or_else(|| TransactError::Fenced { cause: "the producer is closed".into() })
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            dispose(client);
        }
    }
}

/// librdkafka goes on in the background, and the same call asks how it ended.
fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable(),
        // What the client does before the call itself.
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

/// Whether the group has another generation than the one we asked it for.
fn has_moved_on(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let codes = [
        Code::IllegalGeneration,
        Code::UnknownMemberId,
        Code::RebalanceInProgress,
        Code::StaleMemberEpoch,
        Code::FencedMemberEpoch,
    ];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

/// Whether another process has taken our place.
fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let fatal = matches!(error, KafkaError::Transaction(error) if error.is_fatal());
    let taken = [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch, Code::FencedInstanceId];
    fatal || error.rdkafka_error_code().is_some_and(|code| taken.contains(&code))
}

fn fenced(what: &str, error: &KafkaError) -> TransactError {
    TransactError::Fenced { cause: format!("cannot {what}: {error}") }
}

fn pause() {
    std::thread::park_timeout(PAUSE);
}
