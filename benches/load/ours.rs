//! Lazaret as a side: the library as a program would use it, without a ledger.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use lazaret::config::{Delivery, Fairness};
use lazaret::{Fault, Handle, Ladder, Output, Record, Service};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::side::{self, Order, Report};

/// How often it is looked whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Settings; what is not said is as the library has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ours {
    pub at_least_once: bool,
    pub in_flight: Option<usize>,
    pub window: Option<usize>,
    /// How long the stage takes for each record.
    pub takes_ms: u64,
    /// Rungs of the ladder.
    pub rungs_ms: Vec<u64>,
    pub fair: bool,
    /// Notes when each record was called.
    pub calls: bool,
    /// Properties of librdkafka.
    pub properties: Vec<(String, String)>,
}

/// A call of the stage.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Where the record stands on the input.
    pub partition: i32,
    pub offset: i64,
    pub attempt: u32,
    /// Microseconds since 1970.
    pub at: i64,
}

type Calls = Arc<Mutex<Vec<Call>>>;

/// Returns its record, unless the record's header `fate` says something else: `once` fails in its first attempt,
/// `always` in each, `dead` for good, and a number is the time in milliseconds that it takes.
async fn stage(record: Record, takes: Duration, calls: Option<Calls>) -> Result<Output, Fault> {
    if let Some(calls) = calls {
        let call = Call {
            partition: record.partition(),
            offset: record.offset(),
            attempt: record.attempt(),
            at: Timestamp::now().as_microsecond(),
        };
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    match record.header("fate") {
        None => {}
        Some("once") if record.attempt() > 1 => {}
        Some("once" | "always") => return Err(Fault::transient("not this time")),
        Some("dead") => return Err(Fault::permanent("never")),
        Some(ms) => {
            let ms = ms.parse().map_err(|_| Fault::permanent("an unknown fate"))?;
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
    Ok(Output::copy(&record))
}

pub struct Running {
    handle: Handle,
    calls: Option<Calls>,
}

/// Starts it and waits until it has its partitions.
pub async fn start(order: &Order, settings: &Ours) -> anyhow::Result<Running> {
    let calls = settings.calls.then(Calls::default);
    let (takes, noted) = (Duration::from_millis(settings.takes_ms), calls.clone());
    let mut service = Service::builder(&order.name, "s")
        .bootstrap(&order.kafka)
        .input(&order.input)
        .output(&order.output)
        .stage(move |record| stage(record, takes, noted.clone()));
    if settings.at_least_once {
        service = service.delivery(Delivery::AtLeastOnce);
    }
    if let Some(records) = settings.in_flight {
        service = service.in_flight(records);
    }
    if let Some(records) = settings.window {
        service = service.window(records);
    }
    if !settings.rungs_ms.is_empty() {
        service = service.ladder(Ladder::rungs(settings.rungs_ms.iter().copied().map(Duration::from_millis)));
    }
    if settings.fair {
        service = service.fairness(Fairness::default());
    }
    for (name, value) in &settings.properties {
        service = service.property(name, value);
    }
    let handle = service.build()?.start().await?;
    handle.ready().await;
    Ok(Running { handle, calls })
}

impl Running {
    /// Until so many are done, or it is told to end; says how far it is when it is asked.
    pub async fn work(
        mut self,
        expect: Option<u64>,
        mut asked: mpsc::Receiver<()>,
    ) -> anyhow::Result<Report> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                question = asked.recv() => match question {
                    Some(()) => side::tell(self.report()?)?,
                    None => break,
                },
                () = self.handle.broken() => bail!("the stage ended by itself"),
                _ = looks.tick(), if expect.is_some() => {
                    if expect.is_some_and(|expect| self.handle.stats().done >= expect) {
                        break;
                    }
                }
            }
        }
        let mut report = self.report()?;
        self.handle.stop().await;
        if let Some(calls) = self.calls {
            report.calls = std::mem::take(&mut calls.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(report)
    }

    fn report(&self) -> anyhow::Result<Report> {
        let stats = self.handle.stats();
        let mut report = Report::now(stats.done)?;
        report.retried = stats.retried.values().sum();
        report.dead = stats.dead.values().sum();
        Ok(report)
    }
}
