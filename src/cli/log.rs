//! The flags about logging, told to `telemetry::log`. Nothing here writes a line.

use tracing::Level;

use super::{ExitCode, Failure, Global};
use crate::telemetry::log::{self, FILTER_VARIABLE, InitError, Settings};

/// Starts logging. Called once; a second call changes nothing.
pub fn init(global: &Global) -> Result<(), Failure> {
    let level = match (global.quiet, global.verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::INFO,
        (false, 1) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    match log::init(Settings { format: global.log_format(), level, colour: global.colour_stderr() }) {
        Ok(()) | Err(InitError::Again) => Ok(()),
        Err(wrong @ InitError::Filter { .. }) => Err(Failure::new(ExitCode::Usage, wrong.to_string())
            .at(FILTER_VARIABLE)
            .hint("write a level, or levels by module: info,lazaret::kafka=debug")),
    }
}
