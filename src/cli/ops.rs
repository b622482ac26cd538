//! `lazaret ops`: keeps the index of dead letters and serves the API, until it is told to stop; `lazaret ops rebuild` builds the
//! index anew, `lazaret ops token` lets somebody use the API.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::signals::Signals;
use super::{ExitCode, Failure, Format, Global, output, probes};
use crate::api::{Minted, Right, Role, Scope};
use crate::config::{Config, Span};
use crate::ops::quarantine;
use crate::telemetry::http::Readiness;

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

async fn serve(config: &Config) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let readiness = Readiness::new();
    readiness.wait_for("following", "looking at Kafka and opening the index of dead letters");
    let port = probes::serve(config, &readiness, stop).await?;
    let mut keeper = tokio::select! {
        started = Keeper::start(config, &readiness, &port) => started?,
        () = signals.next() => return Ok(ExitCode::Done),
    };
    tokio::select! {
        () = signals.next() => {}
        () = keeper.broken() => {
            let hint = "the log says why; nothing is lost, start it again";
            return Err(Failure::new(ExitCode::Failed, "the index cannot be kept any more").hint(hint));
        }
    }
    keeper.stop().await;
    Ok(ExitCode::Done)
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
