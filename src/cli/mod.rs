//! The command line: what may be typed (`Cli`), what every verb gets (`Global`), how a failure is shown
//! (`failure`) and which exit code it has (`exit`). One file per verb, each with `Args` and
//! `pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure>`.
//!
//! Data goes to stdout, everything else to stderr. What a verb does is in `ops`; here it is only asked and shown.

mod archive;
mod capacity;
mod check;
mod codes;
mod completions;
mod config;
mod confirm;
mod demo;
mod dlq;
mod doctor;
mod exit;
mod failure;
pub mod global;
mod job;
mod keeper;
mod lag;
mod log;
mod man;
mod ops;
pub mod output;
mod panic;
mod probes;
mod provider;
mod redrive;
mod run;
mod schemas;
mod signals;
mod submit;
mod sweep;
mod topics;
mod verify;
mod version;
mod words;

use clap::{Parser, Subcommand};

pub use exit::ExitCode;
pub use failure::Failure;
pub use global::{Format, Global};

/// Runs the stages of RAG and LLM pipelines on Kafka, with a retry ladder and dead letters that can be traced.
#[derive(Debug, Parser)]
#[command(name = "lazaret", version, propagate_version = false, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 nothing matched, \
    4 precondition refused, 5 partly done, 7 somebody else was first, 8 timed out, 130 interrupted.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run everything in one process: broker, provider with faults, both pipelines, documents and questions.
    Demo(demo::Args),
    /// Run the stages of the configuration: all in one process, or one per deployment.
    Run(run::Args),
    /// Send documents or questions into the input topic of a pipeline.
    Submit(submit::Args),
    /// Show what happened to a job and its children, stage by stage.
    Job(job::Args),
    /// List dead letters, show one with its cause and what to do, send them back or give them up.
    Dlq(Box<dlq::Args>),
    /// Send many dead letters back: plan, start, watch, pause, resume, cancel, report.
    Redrive(redrive::Args),
    /// Do with dead letters what the rules of the configuration say: once, or whenever their schedule says so.
    Sweep(sweep::Args),
    /// Keep dead letters that Kafka is about to delete: archive, list, verify, restore.
    Archive(archive::Args),
    /// Keep the index of dead letters up to date with Kafka, or build it anew.
    Ops(ops::Args),
    /// Say how far each stage is behind, in records and in time.
    Lag(lag::Args),
    /// Say what a stage needs for a rate: records in flight, processes, partitions, memory, room in Kafka.
    Capacity(capacity::Args),
    /// Say for every record of every input where it is, and what is missing or stands twice.
    Verify(verify::Args),
    /// List the failure codes, or show the page of one: what happened, cause, remedy.
    Codes(codes::Args),
    /// Check the configuration and report every problem with line and hint.
    Check(check::Args),
    /// Look whether everything that the configuration names answers, and is as it should be; changes nothing.
    Doctor(doctor::Args),
    /// Print the JSON Schema of the configuration, or the configuration with all its defaults.
    Config(config::Args),
    /// List, plan and make the topics that the configuration needs, or show how the cluster differs.
    Topics(topics::Args),
    /// Compare the Avro schemas with the schema registry, or register what is missing.
    Schemas(schemas::Args),
    /// Serve a simulated OpenAI-compatible model provider with seeded faults, to test a set-up with.
    Provider(provider::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Print the manual of all verbs, or write a page of each into a folder.
    Man(man::Args),
}

/// How long threads that are still busy may take when a verb is done.
const LAST_THREADS: std::time::Duration = std::time::Duration::from_secs(2);

/// Reads the command line, does what it says, and shows a failure. Never panics on what a user types.
pub fn main() -> std::process::ExitCode {
    panic::install_hook();
    if let Some(told) = version::asked(std::env::args_os().skip(1)) {
        return output::to_stdout(&told).map_or_else(|failure| failure.code, |()| ExitCode::Done).into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(stop) => return exit::of_usage(&stop),
    };
    let global = cli.global;
    let logging = match cli.verb {
        // Into a file, since its stderr shows progress.
        Verb::Demo(_) => Ok(()),
        _ => log::init(&global),
    };
    let done = logging.and_then(|()| serve(cli.verb, &global));
    done.unwrap_or_else(|failure| failure.show(&global)).into()
}

fn serve(verb: Verb, global: &Global) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|e| Failure::new(ExitCode::Failed, format!("cannot start threads: {e}")))?;
    let done = runtime.block_on(run(verb, global));
    // A thread that waits for a silent broker must not keep the process.
    runtime.shutdown_timeout(LAST_THREADS);
    done
}

async fn run(verb: Verb, global: &Global) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Demo(args) => demo::run(args, global).await,
        Verb::Run(args) => run::run(args, global).await,
        Verb::Submit(args) => submit::run(args, global).await,
        Verb::Job(args) => job::run(args, global).await,
        Verb::Dlq(args) => Box::pin(dlq::run(*args, global)).await,
        Verb::Redrive(args) => redrive::run(args, global).await,
        Verb::Sweep(args) => sweep::run(args, global).await,
        Verb::Archive(args) => archive::run(args, global).await,
        Verb::Ops(args) => ops::run(args, global).await,
        Verb::Lag(args) => lag::run(args, global).await,
        Verb::Capacity(args) => capacity::run(args, global).await,
        Verb::Verify(args) => verify::run(args, global).await,
        Verb::Codes(args) => codes::run(args, global).await,
        Verb::Check(args) => check::run(args, global).await,
        Verb::Doctor(args) => doctor::run(args, global).await,
        Verb::Config(args) => config::run(args, global).await,
        Verb::Topics(args) => topics::run(args, global).await,
        Verb::Schemas(args) => schemas::run(args, global).await,
        Verb::Provider(args) => provider::run(args, global).await,
        Verb::Completions(args) => completions::run(args, global).await,
        Verb::Man(args) => man::run(args, global).await,
    }
}

#[cfg(test)]
mod tests;
