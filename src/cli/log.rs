//! Log lines on stderr, as JSON or text, from the level the flags ask for.

use tracing_subscriber::EnvFilter;

use super::global::{Global, LogFormat};

/// Overrides the flags, in the syntax of `tracing` filters: `info,lazaret::kafka=debug`.
const FILTER_VARIABLE: &str = "LAZARET_LOG";

/// Starts logging. Called once; a second call changes nothing.
pub fn init(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let given = std::env::var(FILTER_VARIABLE).ok().filter(|f| !f.is_empty());
    let filter = given.and_then(|f| f.parse::<EnvFilter>().ok()).unwrap_or_else(|| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match global.log_format() {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.with_ansi(global.colour_stderr()).with_target(false).try_init(),
    };
}
