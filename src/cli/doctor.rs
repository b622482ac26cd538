//! `lazaret doctor`: does everything that Lazaret needs answer, and is it as it should be?

use serde_json::json;

use super::{ExitCode, Failure, Format, Global, output};
use crate::ops::doctor::{Finding, Health, look};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make no calls to model providers. They cost a token or two each.
    #[arg(long)]
    no_calls: bool,
}

/// 1 when something does not work.
pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let findings = look(&config, !args.no_calls).await;
    let worst = findings.iter().map(|finding| finding.health).max().unwrap_or(Health::Ok);
    match global.format() {
        Format::Json => {
            let versions = json!({ "lazaret": env!("CARGO_PKG_VERSION"), "librdkafka": librdkafka() });
            output::json(&json!({ "health": worst, "findings": findings, "versions": versions }))?;
        }
        Format::Ndjson => findings.iter().try_for_each(output::ndjson)?,
        Format::Table => {
            let rows = findings.iter().map(row).collect();
            output::to_stdout(&output::table(&["health", "what", "which", "found"], rows))?;
            for finding in &findings {
                if let Some(remedy) = &finding.remedy {
                    output::to_stdout(&format!("\n{} {}: {remedy}", finding.what, finding.which))?;
                }
            }
            if worst > Health::Ok {
                output::to_stdout("\n")?;
            }
        }
    }
    Ok(if worst == Health::Failed { ExitCode::Failed } else { ExitCode::Done })
}

fn row(finding: &Finding) -> Vec<String> {
    let health = match finding.health {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Failed => "FAILED",
    };
    vec![health.to_owned(), finding.what.to_owned(), finding.which.clone(), finding.found.clone()]
}

/// The version of the Kafka client that is compiled in.
pub fn librdkafka() -> String {
    rdkafka::util::get_rdkafka_version().1
}
