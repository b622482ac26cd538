//! `lazaret dlq show`: everything that is known of one dead letter.

use jiff::Timestamp;

use super::story::{Telling, story};
use super::{ensure_id, which};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::ops::dlq::account::{Told, account};
use crate::ops::dlq::explain::command;

#[derive(Debug, clap::Args)]
pub struct Show {
    /// The id, or as much of its beginning as tells it from the others.
    id: String,
    /// Show the payload, the key and the values of the record's own headers too.
    #[arg(long)]
    payload: bool,
    /// Ask the index as it is, without reading what has come since.
    #[arg(long)]
    no_refresh: bool,
}

pub async fn show(show: Show, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    ensure_id(&show.id)?;
    let config = global.load_config()?;
    let index = which::index(&config, show.no_refresh).await?;
    let told = if show.payload { Told::Contents } else { Told::Lengths };
    let account = account(&config, &index, &show.id, told, now).await?;
    match global.format() {
        Format::Json => output::json(&account)?,
        Format::Ndjson => output::ndjson(&account)?,
        Format::Table => {
            let command = command(&global.config);
            output::to_stdout(&story(&account, &Telling { payload: show.payload, now, command: &command }))?;
        }
    }
    Ok(ExitCode::Done)
}
