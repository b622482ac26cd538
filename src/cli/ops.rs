//! `lazaret ops`: keeps the index of dead letters, until it is told to stop; `lazaret ops rebuild` builds it anew.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{ExitCode, Failure, Format, Global, output, probes};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::client::reach;
use crate::ops::{quarantine, redrive};
use crate::quarantine::Quarantine;
use crate::telemetry::http::Readiness;

/// How long an index or a cluster that does not answer is left alone.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked what became of letters that were sent back.
const SETTLE_EVERY: Duration = Duration::from_secs(5);
/// How long redrives may take to say how far they are when it stops.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// For building the index anew.
const REBUILD: Duration = Duration::from_secs(24 * 3600);

/// Keep the index of dead letters up to date with Kafka: what `lazaret dlq groups` and `lazaret dlq count` are answered
/// from. They bring it up to date themselves as well, so that this only makes them quicker.
///
/// Several may run over one index. Stops on SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Forget the index and fill it again from Kafka. Letters that Kafka has deleted are gone from it then.
    Rebuild,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    match args.what {
        None => serve(&config).await,
        Some(What::Rebuild) => rebuild(&config, global).await,
    }
}

async fn serve(config: &Config) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let readiness = Readiness::new();
    readiness.wait_for("following", "opening the index of dead letters");
    probes::serve(config, &readiness, stop.clone()).await?;
    reach(&config.kafka, "ops").await?;
    let index = quarantine::open(config).await?;
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "ops")?;
    let settling = async {
        let mut looks = interval(SETTLE_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = quarantine::measure(config, &index, Timestamp::now()).await {
                tracing::warn!("cannot say how many dead letters are open: {error}");
            }
            if let Err(error) = quarantine::settle(config, &index, &producer).await {
                tracing::warn!("cannot say what became of dead letters that were sent back: {error}");
            }
        }
    };
    tokio::pin!(settling);
    let redriving = tokio::spawn({
        let (config, index, stop) = (config.clone(), index.clone(), stop.clone());
        async move { redrive::serve(&config, &index, stop).await }
    });
    let ended = follow(config, &index, &readiness, &mut signals, &stop, settling).await;
    // What is being redriven says how far it is, so that somebody else goes on with it.
    stop.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, redriving).await;
    ended
}

/// Until it is told to stop; whatever fails is tried again.
async fn follow(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    readiness: &Readiness,
    signals: &mut Signals,
    stop: &CancellationToken,
    mut settling: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<ExitCode, Failure> {
    loop {
        readiness.met("following");
        let ended = tokio::select! {
            ended = quarantine::follow(config, index, stop.clone()) => ended,
            () = &mut settling => return Ok(ExitCode::Done),
            () = signals.next() => return Ok(ExitCode::Done),
        };
        let Err(error) = ended else { return Ok(ExitCode::Done) };
        tracing::error!(
            "the index of dead letters does not follow Kafka, and tries again in {AGAIN:?}: {error}"
        );
        readiness.wait_for("following", error.to_string());
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = signals.next() => return Ok(ExitCode::Done),
        }
    }
}

async fn rebuild(config: &Config, global: &Global) -> Result<ExitCode, Failure> {
    let index = quarantine::open(config).await?;
    let caught = quarantine::rebuild(config, &index, REBUILD).await?;
    match global.format() {
        Format::Json => output::json(&caught)?,
        Format::Ndjson => output::ndjson(&caught)?,
        Format::Table => output::to_stdout(&format!("{} records were read\n", caught.records))?,
    }
    Ok(if caught.complete { ExitCode::Done } else { ExitCode::TimedOut })
}
