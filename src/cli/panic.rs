//! What is shown when the program itself is wrong: one line, where it happened and where to report it.
//!
//! A panic in a stage is caught by its worker and is that record's failure; here it is only made visible.

use crate::flow::fault::{one_line, panic_text};

const REPORT: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");
/// Longest panic message shown, bytes. It may quote data.
const MESSAGE_MAX: usize = 300;

/// Replaces the backtrace of a panic by one line. The main thread then ends with exit code 101.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let message = one_line(panic_text(panic.payload()), MESSAGE_MAX);
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if std::thread::current().name() == Some("main") {
            super::output::to_stderr(&format!(
                "error: this is a bug in lazaret {}: {message}\n  at: {place}\n  hint: please report it at {REPORT}\n",
                env!("CARGO_PKG_VERSION")
            ));
        } else {
            tracing::error!(at = place, report = REPORT, "a panic was caught: {message}");
        }
    }));
}
