//! The flags about logging, told to `telemetry::log`. Nothing here writes a line.

use std::fs::File;

use tracing::Level;

use super::{ExitCode, Failure, Global};
use crate::telemetry::log::{self, FILTER_VARIABLE, InitError, Settings};

/// Starts logging to stderr. Called once; a second call changes nothing.
pub fn init(global: &Global) -> Result<(), Failure> {
    let settings =
        Settings { format: global.log_format(), level: level(global), colour: global.colour_stderr() };
    told(log::init(settings))
}

/// The same into a file, always as JSON.
pub fn init_to(file: File, global: &Global) -> Result<(), Failure> {
    told(log::init_to(file, level(global)))
}

fn level(global: &Global) -> Level {
    match (global.quiet, global.verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::INFO,
        (false, 1) => Level::DEBUG,
        (false, _) => Level::TRACE,
    }
}

fn told(begun: Result<(), InitError>) -> Result<(), Failure> {
    match begun {
        Ok(()) | Err(InitError::Again) => Ok(()),
        Err(wrong @ InitError::Filter { .. }) => Err(Failure::new(ExitCode::Usage, wrong.to_string())
            .at(FILTER_VARIABLE)
            .hint("write a level, or levels by module: info,lazaret::kafka=debug")),
    }
}
