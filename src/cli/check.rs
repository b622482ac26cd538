//! `lazaret check`: is the configuration right? Reads the file and nothing else, so it needs no cluster.

use serde_json::json;

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::{Config, ConfigErrors, Loaded, Problem, load_file};
use crate::flow::Topology;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
}

/// Reports all problems: as text on stderr, or with `--output json` as the result on stdout. 2 if it has errors.
pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let file = global.config.display().to_string();
    let checked = match load_file(&global.config) {
        Ok(Loaded { warnings, .. }) if args.strict && !warnings.is_empty() => {
            Err(ConfigErrors { file: file.clone(), problems: warnings })
        }
        checked => checked,
    };
    match (checked, global.format()) {
        (Ok(loaded), Format::Table) => {
            for warning in &loaded.warnings {
                output::to_stderr(&Failure::of_problem(warning, &file).text(global.colour_stderr()));
            }
            output::to_stdout(&summary(&loaded.config))?;
            Ok(ExitCode::Done)
        }
        (Ok(loaded), _) => {
            report(&file, Some(&loaded.config), &loaded.warnings, global)?;
            Ok(ExitCode::Done)
        }
        (Err(errors), Format::Table) => Err(errors.into()),
        (Err(errors), _) => {
            report(&file, None, &errors.problems, global)?;
            Ok(ExitCode::Usage)
        }
    }
}

fn summary(config: &Config) -> String {
    let counted = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let stages = config.pipelines.values().map(|p| p.stages.len()).sum();
    format!(
        "ok: {}, {}, {}\n",
        counted(config.pipelines.len(), "pipeline"),
        counted(stages, "stage"),
        counted(Topology::derive(config).topics.len(), "topic")
    )
}

fn report(file: &str, config: Option<&Config>, problems: &[Problem], global: &Global) -> Result<(), Failure> {
    let counts = config.map(|c| {
        json!({
            "pipelines": c.pipelines.len(),
            "stages": c.pipelines.values().map(|p| p.stages.len()).sum::<usize>(),
            "topics": Topology::derive(c).topics.len(),
        })
    });
    let report = json!({ "file": file, "ok": config.is_some(), "counts": counts, "problems": problems });
    match global.format() {
        Format::Ndjson => output::ndjson(&report),
        _ => output::json(&report),
    }
}
