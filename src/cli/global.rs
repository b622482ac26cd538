//! The flags that every verb takes, and what follows from them and the environment.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::failure::Failure;
use crate::config::{Config, DEFAULT_FILE};
use crate::telemetry::log::Format as LogFormat;

/// How results are written to stdout, and failures to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document per line, as the results come.
    Ndjson,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The configuration file.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "LAZARET_CONFIG",
        default_value = DEFAULT_FILE
    )]
    pub config: PathBuf,

    /// How to write results.
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    /// No colours. They are also off when NO_COLOR is set, TERM is dumb or the output is no terminal.
    #[arg(long, global = true)]
    pub no_color: bool,

    /// Log more; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Log errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// How to write log lines; json when stderr is not a terminal.
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl Global {
    /// The configuration, read and checked. A failure carries all its problems and exit code 2.
    pub fn load_config(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config)?)
    }

    pub fn format(&self) -> Format {
        self.output
    }

    pub fn colour_stdout(&self) -> bool {
        self.colour(std::io::stdout().is_terminal())
    }

    pub fn colour_stderr(&self) -> bool {
        self.colour(std::io::stderr().is_terminal())
    }

    pub fn log_format(&self) -> LogFormat {
        self.log_format.unwrap_or(match std::io::stderr().is_terminal() {
            true => LogFormat::Text,
            false => LogFormat::Json,
        })
    }

    fn colour(&self, terminal: bool) -> bool {
        !self.no_color && colour_wanted(terminal, &|name| std::env::var(name).ok())
    }
}

/// CLICOLOR_FORCE wins, then NO_COLOR (when not empty, see no-color.org), then TERM=dumb, then the terminal.
fn colour_wanted(terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if set("CLICOLOR_FORCE").is_some_and(|force| force != "0") {
        return true;
    }
    terminal && set("NO_COLOR").is_none() && set("TERM").as_deref() != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(terminal: bool, env: &[(&str, &str)]) -> bool {
        colour_wanted(terminal, &|name| {
            env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colours_are_for_terminals() {
        assert!(wanted(true, &[]));
        assert!(!wanted(false, &[]));
        assert!(!wanted(true, &[("TERM", "dumb")]));
    }

    #[test]
    fn no_color_counts_whatever_it_says_unless_it_says_nothing() {
        assert!(!wanted(true, &[("NO_COLOR", "1")]));
        assert!(!wanted(true, &[("NO_COLOR", "0")]));
        assert!(wanted(true, &[("NO_COLOR", "")]));
    }

    #[test]
    fn clicolor_force_wins() {
        assert!(wanted(false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1"), ("TERM", "dumb")]));
        assert!(!wanted(false, &[("CLICOLOR_FORCE", "0")]));
    }
}
