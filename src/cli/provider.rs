//! `lazaret provider`: runs the provider simulator alone, for tests of anything that speaks the OpenAI API.

use super::signals::Signals;
use super::{ExitCode, Failure, Global, output};
use crate::config::{Secret, Span};
use crate::provider::faults::Rates;
use crate::provider::{self, Options};

/// Serve a simulated OpenAI-compatible provider with seeded faults.
///
/// The base URL is printed to stdout when it serves. While it runs, `POST /admin/faults` changes the rates,
/// and `GET /admin/stats` and `GET /admin/calls` tell what was asked; from this machine only.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8089")]
    listen: String,

    /// The same seed gives the same request the same fate
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Share of calls answered 429 with Retry-After
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    rate_limit: f64,

    /// Share of calls answered 500
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    server_error: f64,

    /// Share of calls answered 503 with Retry-After
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    overloaded: f64,

    /// Share of calls that get no answer until the client gives up
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    hang: f64,

    /// Share of calls whose answer is cut off
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    truncate: f64,

    /// Least time until an answer
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = Span::parse)]
    latency: Span,

    /// At most this much time on top
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = Span::parse)]
    jitter: Span,

    /// Serve only this model (repeatable); any name is served when none is given
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,

    /// Refuse texts that contain this, as a content filter does; empty refuses none
    #[arg(long, value_name = "TEXT", default_value = provider::FILTER_PHRASE)]
    filter_phrase: String,

    /// Environment variable with the API key that clients must send
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
}

impl Args {
    fn options(self) -> Result<Options, Failure> {
        let api_key = self.api_key_env.map(|name| Secret::Env(name).read()).transpose();
        let api_key =
            api_key.map_err(|e| Failure::new(ExitCode::Usage, e.to_string()).at("--api-key-env"))?;
        Ok(Options {
            listen: self.listen,
            seed: self.seed,
            rates: Rates {
                rate_limit: self.rate_limit,
                server_error: self.server_error,
                overloaded: self.overloaded,
                hang: self.hang,
                truncate: self.truncate,
                latency: self.latency,
                jitter: self.jitter,
                ..Rates::default()
            },
            models: self.models,
            filter_phrase: self.filter_phrase,
            api_key,
        })
    }
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(args: Args, _global: &Global) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let running = provider::start(args.options()?)
        .await
        .map_err(|e| Failure::new(ExitCode::Failed, format!("{e:#}")).at("--listen"))?;
    output::to_stdout(&format!("{}\n", running.base_url))?;
    tracing::info!(base_url = running.base_url, "the provider simulator serves");
    signals.next().await;
    running.stop().await;
    Ok(ExitCode::Done)
}
