//! `lazaret config schema|show`: the JSON Schema for editors, and the file as Lazaret understands it.

use super::{ExitCode, Failure, Format, Global, output};
use crate::config;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print the configuration with variables put in and defaults written out. Secrets are named, never read.
    Show,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    match args.what {
        What::Schema => output::json(&config::schema())?,
        What::Show => show(global)?,
    }
    Ok(ExitCode::Done)
}

fn show(global: &Global) -> Result<(), Failure> {
    let config = global.load_config()?;
    match global.format() {
        Format::Table => {
            let yaml = serde_saphyr::to_string(&config).map_err(|e| {
                Failure::new(ExitCode::Failed, format!("cannot write the configuration as YAML: {e}"))
            })?;
            output::to_stdout(&yaml)
        }
        Format::Json => output::json(&config),
        Format::Ndjson => output::ndjson(&config),
    }
}
