//! `lazaret run`: runs the stages of the configuration until it is told to stop.

use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::signals::Signals;
use super::{ExitCode, Failure, Global, probes};
use crate::config::Config;
use crate::ops::topics::{self, Outcome};
use crate::telemetry::http::{Port, Readiness};
use crate::worker::{EdgeError, Edges, Selection, Service, StartError, this_program};

/// Run the stages of the configuration: all in one process, or one per deployment.
///
/// With `ops.inside_run` it does what `lazaret ops` does as well, unless it runs a part of the stages only.
///
/// Stops on SIGTERM or Ctrl-C: what is in flight gets `shutdown.drain` to finish, the rest is handed back, offsets
/// are committed and the consumer groups left. A second signal ends the process at once; nothing is lost by that.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the stages of this pipeline only
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,

    /// Run this stage of the pipeline only
    #[arg(long, value_name = "NAME", requires = "pipeline")]
    stage: Option<String>,

    /// Make missing topics before starting, as `lazaret topics apply` does
    #[arg(long)]
    create_topics: bool,
}

/// Runs until a signal comes.
pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let which = Selection { pipeline: args.pipeline, stage: args.stage };
    which.check(&config).map_err(|e| Failure::new(ExitCode::Usage, e.to_string()))?;
    let mut signals = Signals::listen()?;
    let serving = CancellationToken::new();
    let _stop_serving = serving.clone().drop_guard();

    let readiness = Readiness::new();
    readiness.wait_for("started", "looking at Kafka and opening the ledger");
    let port = probes::serve(&config, &readiness, serving).await?;

    let start = start(&config, &which, args.create_topics, &readiness, &port);
    let (mut service, mut keeper) = tokio::select! {
        started = start => started?,
        () = signals.next() => return Ok(ExitCode::Done),
    };
    readiness.met("started");
    let stages: Vec<String> =
        service.tallies().iter().map(|tally| format!("{}.{}", tally.pipeline, tally.stage)).collect();
    tracing::info!(stages = stages.join(", "), "running");

    let mut broken = false;
    tokio::select! {
        () = signals.next() => {}
        () = service.broken() => broken = true,
        () = broken_keeper(keeper.as_mut()) => broken = true,
    }
    tracing::info!(drain = %config.shutdown.drain, "stopping: finishing what is in flight");
    readiness.wait_for("stopped", "the process is stopping");
    tokio::select! {
        () = stop(service, keeper) => tracing::info!("stopped"),
        () = signals.next() => tracing::warn!("stopped at once by a second signal"),
    }
    if broken {
        let hint = "the log says why; nothing is lost, start it again";
        return Err(Failure::new(ExitCode::Failed, "a stage, or the index of dead letters, could not go on")
            .hint(hint));
    }
    Ok(ExitCode::Done)
}

async fn start(
    config: &Config,
    which: &Selection,
    create_topics: bool,
    readiness: &Readiness,
    port: &Port,
) -> Result<(Service, Option<Keeper>), Failure> {
    if create_topics {
        create_missing(config).await?;
    }
    let keeper = match config.ops.inside_run && which.is_all() {
        true => Some(Keeper::start(config, readiness, port).await?),
        false => None,
    };
    let edges = Edges::open(config, which, this_program()).await.map_err(StartError::Edge);
    let started = match edges {
        Ok(edges) => Service::start(config, which, edges, readiness).await,
        Err(error) => Err(error),
    };
    Ok((started.map_err(|error| failure(&error, config))?, keeper))
}

/// The stages first: what they do last is seen by the index.
async fn stop(service: Service, keeper: Option<Keeper>) {
    service.stop().await;
    if let Some(keeper) = keeper {
        keeper.stop().await;
    }
}

async fn broken_keeper(keeper: Option<&mut Keeper>) {
    match keeper {
        Some(keeper) => keeper.broken().await,
        None => std::future::pending().await,
    }
}

async fn create_missing(config: &Config) -> Result<(), Failure> {
    for applied in topics::apply(config, false).await? {
        let (topic, change) = (&applied.topic, &applied.change);
        match &applied.outcome {
            Outcome::Done => tracing::info!(topic, "{change}"),
            Outcome::Skipped(why) => tracing::warn!(topic, "{change}: skipped: {why}"),
            Outcome::NotAllowed(why) | Outcome::Failed(why) => {
                return Err(Failure::new(ExitCode::Failed, format!("{change}: {why}")).at(topic.clone()));
            }
        }
    }
    Ok(())
}

/// Why the stages could not be started, with the place and, where it is not said already, the remedy.
fn failure(error: &StartError, config: &Config) -> Failure {
    let usage = matches!(
        error,
        StartError::Selection(_)
            | StartError::Stage { .. }
            | StartError::Codec(_)
            | StartError::Edge(
                EdgeError::Provider(_)
                    | EdgeError::Sources(_)
                    | EdgeError::Registry(_)
                    | EdgeError::Traces(_)
            )
    );
    let code = if usage { ExitCode::Usage } else { ExitCode::Failed };
    match error {
        StartError::Kafka(problem) => problem.clone().into(),
        StartError::MissingTopics(missing) => Failure::new(ExitCode::Refused, some_of(missing))
            .at(config.kafka.bootstrap.clone())
            .hint(
                "make them with `lazaret topics apply`, or start with --create-topics; a topic that this user may \
                 not describe looks missing, too",
            ),
        _ => Failure::new(code, error.to_string()),
    }
}

/// The first of a list that may be long.
fn some_of(missing: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = missing.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match missing.len() {
        0..=SHOWN => format!("missing topics: {shown}"),
        n => format!("{n} topics are missing, among them {shown}"),
    }
}
