//! Keeps the index of dead letters while a process runs, says what became of what was sent back, goes on with redrives that
//! nobody runs, sweeps when it is time, and serves the API: for `lazaret ops`, and for `lazaret run` where one process is to do it all.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{ExitCode, Failure};
use crate::api::{Api, Parts, People};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::client::reach;
use crate::ops::quarantine::{self, Watch};
use crate::ops::{archive, lag, redrive, sweep};
use crate::quarantine::Quarantine;
use crate::telemetry::http::{Port, Readiness};

/// How long an index or a cluster that does not answer is left alone.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked what became of letters that were sent back.
const SETTLE_EVERY: Duration = Duration::from_secs(5);
/// How long redrives may take to say how far they are when it stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// See the module. Without it, all of this ends at once.
pub struct Keeper {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Keeper {
    /// Cluster and index have to answer now; later they are tried again.
    pub async fn start(config: &Config, readiness: &Readiness, port: &Port) -> Result<Self, Failure> {
        readiness.wait_for("following", "opening the index of dead letters");
        reach(&config.kafka, "ops").await?;
        let index = quarantine::open(config).await?;
        let producer = Producer::new(&config.kafka, &Topology::derive(config), "ops")?;
        let stop = CancellationToken::new();
        serve_api(config, &index, port, stop.clone()).await?;
        let config = Arc::new(config.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (config, index, stop) = (config.clone(), index.clone(), stop.clone());
            async move { redrive::serve(&config, &index, stop).await }
        });
        tasks.spawn({
            let (config, index, stop) = (config.clone(), index.clone(), stop.clone());
            async move { lag::serve(&config, &index, stop).await }
        });
        // Without settings for them these two have nothing to do and end, and nothing is wrong.
        tasks.spawn({
            let (config, index, stop) = (config.clone(), index.clone(), stop.clone());
            async move {
                sweep::serve(&config, &index, stop.clone()).await;
                stop.cancelled().await;
            }
        });
        tasks.spawn({
            let (config, index, stop) = (config.clone(), index.clone(), stop.clone());
            let producer = Producer::new(&config.kafka, &Topology::derive(&config), "archive")?;
            async move {
                archive::serve(&config, &index, &producer, stop.clone()).await;
                stop.cancelled().await;
            }
        });
        let caught_up = CancellationToken::new();
        tasks.spawn({
            let settling = settle(config.clone(), index.clone(), producer, caught_up.clone());
            let stop = stop.clone();
            async move { _ = stop.run_until_cancelled(settling).await }
        });
        tasks.spawn(follow(config, index, readiness.clone(), stop.clone(), caught_up));
        Ok(Self { tasks, stop })
    }

    /// Returns when a part of it has ended, which none does by itself.
    pub async fn broken(&mut self) {
        let ended = self.tasks.join_next().await;
        tracing::error!("a part of what keeps the index of dead letters has ended: {ended:?}");
    }

    /// What is being redriven says how far it is, so that somebody else goes on with it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The port of the API is closed with it.
        self.stop.cancel();
    }
}

/// Serves the API, if the configuration wants it: with the probes where it has their address.
async fn serve_api(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    port: &Port,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Some(listen) = &config.ops.listen else { return Ok(()) };
    let people = People::open(&config.ops).await;
    let people =
        people.map_err(|error| Failure::new(ExitCode::Usage, error.to_string()).at(error.place()))?;
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "api")?;
    let api = Api::new(Parts { config: config.clone(), index: index.clone(), producer, people });
    let address = match *listen == config.http.listen {
        true => {
            port.bring(api.router());
            port.address
        }
        false => {
            let served = api.serve(listen, stop).await;
            served
                .map_err(|e| Failure::new(ExitCode::Failed, e.to_string()).at("ops.listen").hint(e.hint()))?
        }
    };
    tracing::info!("the API is at http://{address}/v1");
    Ok(())
}

/// Says what became of what was sent back, and how many letters are open; whatever fails is tried again.
async fn settle(
    config: Arc<Config>,
    index: Arc<dyn Quarantine>,
    producer: Producer,
    caught_up: CancellationToken,
) {
    // What is in Kafka already is not new, and what the index has not read yet is not over.
    caught_up.cancelled().await;
    let mut looks = interval(SETTLE_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    loop {
        looks.tick().await;
        if let Err(error) = quarantine::measure(&config, &index, Timestamp::now()).await {
            tracing::warn!("cannot say how many dead letters are open: {error}");
        }
        if let Err(error) = watch.look(&config, &index).await {
            tracing::warn!("cannot say which groups of dead letters are new: {error}");
        }
        if let Err(error) = quarantine::settle(&config, &index, &producer).await {
            tracing::warn!("cannot say what became of dead letters that were sent back: {error}");
        }
    }
}

/// Until it is told to stop; whatever fails is tried again. `caught_up` is told when all that was there is read.
pub async fn follow(
    config: Arc<Config>,
    index: Arc<dyn Quarantine>,
    readiness: Readiness,
    stop: CancellationToken,
    caught_up: CancellationToken,
) {
    loop {
        readiness.met("following");
        let ended = quarantine::follow(&config, &index, stop.clone(), &caught_up).await;
        if stop.is_cancelled() {
            return;
        }
        let why = ended.err().map_or_else(|| "the topics ended".to_owned(), |error| error.to_string());
        tracing::error!(
            "the index of dead letters does not follow Kafka, and tries again in {AGAIN:?}: {why}"
        );
        readiness.wait_for("following", why);
        if stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
            return;
        }
    }
}
