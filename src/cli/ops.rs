//! `lazaret ops`: keeps the index of dead letters and serves the API, until it is told to stop; `lazaret ops rebuild` builds the
//! index anew, `lazaret ops token` lets somebody use the API.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{ExitCode, Failure, Format, Global, output, probes};
use crate::api::{Api, Minted, Parts, Right, Role, Scope, Tokens};
use crate::config::{Config, Span};
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::client::reach;
use crate::ops::{archive, lag, quarantine, redrive, sweep};
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
    /// Make a token for the HTTP API: the token itself, and the line that makes it known. It is kept nowhere.
    Token(Token),
    /// Forget the index and fill it again from Kafka. Letters that Kafka has deleted are gone from it then.
    Rebuild,
}

#[derive(Debug, clap::Args)]
struct Token {
    /// Who gets it: in this name acts are written down.
    name: String,
    #[arg(long, value_enum)]
    role: Role,
    /// A right more than the role has, such as dlq:payload; may be given several times.
    #[arg(long = "with", value_name = "RIGHT", value_parser = right)]
    more: Vec<Right>,
    /// How long it is good for, such as 90d; for ever when absent.
    #[arg(long, value_name = "SPAN", value_parser = Span::parse)]
    expires: Option<Span>,
    /// Only for dead letters of this pipeline.
    #[arg(long)]
    pipeline: Option<String>,
    /// Only for dead letters of this stage.
    #[arg(long)]
    stage: Option<String>,
    /// Only for dead letters of this tenant.
    #[arg(long)]
    tenant: Option<String>,
}

fn right(text: &str) -> Result<Right, String> {
    Right::parse(text).ok_or_else(|| format!("known are {}", Right::ALL.map(Right::as_str).join(", ")))
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    match args.what {
        None => serve(&global.load_config()?).await,
        Some(What::Rebuild) => rebuild(&global.load_config()?, global).await,
        Some(What::Token(token)) => mint(token, Timestamp::now(), global),
    }
}

fn mint(token: Token, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let wrong = |why: String| Failure::new(ExitCode::Usage, why);
    let Token { name, role, more, expires, pipeline, stage, tenant } = token;
    let expires = expires.map(|span| now.checked_add(span.0)).transpose();
    let expires = expires.map_err(|_| wrong("--expires is too long".into()))?;
    let minted =
        Minted::new(&name, role, &more, &Scope { pipeline, stage, tenant }, expires).map_err(wrong)?;
    match global.format() {
        Format::Table => {
            output::to_stdout(&format!("{}\n", minted.line))?;
            output::to_stderr(&format!(
                "this line goes where ops.tokens points; the token is shown this once: {}\n",
                minted.token
            ));
        }
        Format::Json | Format::Ndjson => {
            output::ndjson(&json!({ "token": minted.token, "line": minted.line }))?;
        }
    }
    Ok(ExitCode::Done)
}

/// Serves the API, if the configuration wants it.
async fn serve_api(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Some(listen) = &config.ops.listen else { return Ok(()) };
    let wrong = |why: String| Failure::new(ExitCode::Usage, why).at("ops.tokens");
    let tokens = match &config.ops.tokens {
        None => None,
        Some(secret) => {
            let text = secret.read().map_err(|error| wrong(error.to_string()))?;
            Some(Tokens::parse(text.expose_secret()).map_err(|error| wrong(error.to_string()))?)
        }
    };
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "api")?;
    let api = Api::new(Parts { config: config.clone(), index: index.clone(), producer, tokens });
    let address = api
        .serve(listen, stop)
        .await
        .map_err(|e| Failure::new(ExitCode::Failed, e.to_string()).at("ops.listen").hint(e.hint()))?;
    tracing::info!("the API is at http://{address}/v1");
    Ok(())
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
    serve_api(config, &index, stop.clone()).await?;
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
    let _watching = tokio::spawn({
        let (config, stop) = (config.clone(), stop.clone());
        async move { lag::serve(&config, stop).await }
    });
    let sweeping = tokio::spawn({
        let (config, index, stop) = (config.clone(), index.clone(), stop.clone());
        async move { sweep::serve(&config, &index, stop).await }
    });
    let archiving = tokio::spawn({
        let (config, index, stop) = (config.clone(), index.clone(), stop.clone());
        let producer = Producer::new(&config.kafka, &Topology::derive(&config), "archive")?;
        async move { archive::serve(&config, &index, &producer, stop).await }
    });
    let ended = follow(config, &index, &readiness, &mut signals, &stop, settling).await;
    // What is being redriven says how far it is, so that somebody else goes on with it.
    stop.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, futures::future::join3(redriving, sweeping, archiving)).await;
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
