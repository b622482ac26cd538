//! `lazaret topics`: what the configuration needs on the cluster, how the cluster differs, and making it so.

mod acls;

use clap::Subcommand;
use serde_json::json;

use super::{ExitCode, Failure, Format, Global, output};
use crate::flow::Topology;
use crate::ops::topics::{self, Applied, Outcome, TopicDrift, purpose_name};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print every topic that the configuration derives, as YAML. Needs no cluster.
    List,
    /// Show what `apply` would do. Always ends with 0.
    Plan,
    /// Make missing topics and change settings that differ. Never deletes; ends with 5 when something could not be done.
    Apply {
        /// Add partitions where there are too few. New records of a key may go to another partition than before.
        #[arg(long)]
        grow: bool,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show only what differs; ends with 5 when something does.
    Drift,
    /// Print what stages, operators and producers have to be allowed on a cluster that asks. Needs no cluster.
    Acls(acls::Args),
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    if let What::Acls(args) = &args.what {
        return acls::run(args, global);
    }
    let config = global.load_config()?;
    match args.what {
        What::Acls(_) => Ok(ExitCode::Done),
        What::List => {
            let topology = Topology::derive(&config);
            match global.format() {
                Format::Table => output::to_stdout(&topics::listing(&topology))?,
                Format::Json => output::json(&topology)?,
                Format::Ndjson => topology.topics.iter().try_for_each(output::ndjson)?,
            }
            Ok(ExitCode::Done)
        }
        What::Plan | What::Apply { dry_run: true, .. } => {
            show_drift(&topics::drift(&config).await?, global)?;
            Ok(ExitCode::Done)
        }
        What::Drift => {
            let mut drift = topics::drift(&config).await?;
            drift.retain(TopicDrift::is_drift);
            show_drift(&drift, global)?;
            Ok(if drift.is_empty() { ExitCode::Done } else { ExitCode::Partial })
        }
        What::Apply { grow, .. } => {
            let applied = topics::apply(&config, grow).await?;
            show_applied(&applied, global)?;
            let failed = |a: &Applied| matches!(a.outcome, Outcome::Failed(_) | Outcome::NotAllowed(_));
            Ok(if applied.iter().any(failed) { ExitCode::Partial } else { ExitCode::Done })
        }
    }
}

fn show_drift(drift: &[TopicDrift], global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Json => output::json(&json!({ "topics": drift })),
        Format::Ndjson => drift.iter().try_for_each(output::ndjson),
        Format::Table if drift.is_empty() => output::to_stdout("ok: all topics are as they should be\n"),
        Format::Table => {
            let row = |topic: &TopicDrift| {
                let changes: Vec<_> = topic.changes.iter().map(ToString::to_string).collect();
                let what = if changes.is_empty() { "ok".to_owned() } else { changes.join("; ") };
                vec![topic.topic.clone(), purpose_name(topic.purpose).to_owned(), what]
            };
            output::to_stdout(&output::table(
                &["topic", "purpose", "change"],
                drift.iter().map(row).collect(),
            ))
        }
    }
}

fn show_applied(applied: &[Applied], global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Json => output::json(&json!({ "applied": applied })),
        Format::Ndjson => applied.iter().try_for_each(output::ndjson),
        Format::Table if applied.is_empty() => output::to_stdout("ok: all topics are as they should be\n"),
        Format::Table => {
            let row = |a: &Applied| {
                let outcome = match &a.outcome {
                    Outcome::Done => "done".to_owned(),
                    Outcome::Skipped(why) => format!("skipped: {why}"),
                    Outcome::NotAllowed(why) | Outcome::Failed(why) => format!("failed: {why}"),
                };
                vec![a.topic.clone(), a.change.to_string(), outcome]
            };
            output::to_stdout(&output::table(
                &["topic", "change", "outcome"],
                applied.iter().map(row).collect(),
            ))
        }
    }
}
