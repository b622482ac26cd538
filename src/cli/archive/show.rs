//! `lazaret archive ls` and `show`: what stands in the archive.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::dlq::which::index;
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::ops::archive::recall::object;
use crate::ops::dlq::explain::{age, printable};
use crate::ops::quarantine::pages;
use crate::quarantine::{Known, Parcel};

/// Objects that are asked for together.
const PAGE: usize = 1000;

#[derive(Debug, clap::Args)]
pub struct Ls {
    #[arg(long)]
    pipeline: Option<String>,
    #[arg(long)]
    stage: Option<String>,
    /// Ask the index as it is, without reading what has come since.
    #[arg(long)]
    no_refresh: bool,
    /// Show at most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Debug, clap::Args)]
pub struct Show {
    /// The name of the object, as `lazaret archive ls` lists it.
    object: String,
    /// Ask the index as it is, without reading what has come since.
    #[arg(long)]
    no_refresh: bool,
}

pub async fn ls(ls: Ls, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let index = index(&global.load_config()?, ls.no_refresh).await?;
    let most = usize::try_from(ls.limit).unwrap_or(usize::MAX);
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    let (mut parcels, mut complete) = (Vec::<Parcel>::new(), false);
    let mut pages = pages::parcels(&*index, PAGE);
    // One more tells whether there are more.
    while parcels.len() <= most {
        let Some(page) = pages.try_next().await? else {
            complete = true;
            break;
        };
        let wanted = page.into_iter();
        parcels.extend(wanted.filter(|one| is(&ls.pipeline, &one.pipeline) && is(&ls.stage, &one.stage)));
    }
    complete &= parcels.len() <= most;
    parcels.truncate(most);
    match global.format() {
        Format::Json => output::json(&json!({ "objects": parcels, "complete": complete }))?,
        Format::Ndjson => parcels.iter().try_for_each(output::ndjson)?,
        Format::Table if parcels.is_empty() => output::to_stderr("there is nothing in the archive\n"),
        Format::Table => {
            let heading = ["object", "stage", "letters", "bytes", "from", "to"];
            output::to_stdout(&output::table(&heading, parcels.iter().map(|one| row(one, now)).collect()))?;
        }
    }
    if !complete {
        output::to_stderr("there are more; --limit shows them\n");
    }
    Ok(if parcels.is_empty() { ExitCode::NothingMatched } else { ExitCode::Done })
}

fn row(parcel: &Parcel, now: Timestamp) -> Vec<String> {
    vec![
        printable(&parcel.object),
        place(&parcel.pipeline, &parcel.stage),
        parcel.letters.to_string(),
        parcel.bytes.to_string(),
        age(parcel.from, now),
        age(parcel.to, now),
    ]
}

pub async fn show(show: Show, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let index = index(&global.load_config()?, show.no_refresh).await?;
    let (parcel, ids) = object(&*index, &show.object).await?;
    let known = index.get(&ids).await?.into_iter();
    let mut known: BTreeMap<String, Known> = known.map(|one| (one.entry.id.clone(), one)).collect();
    let known: Vec<Known> = ids.iter().filter_map(|id| known.remove(id)).collect();
    match global.format() {
        Format::Json | Format::Ndjson => {
            let letters: Vec<_> = known
                .iter()
                .map(|one| json!({ "id": one.entry.id, "state": one.state, "kept": one.kept, "at": one.entry.at.to_string() }))
                .collect();
            let told = json!({ "object": parcel, "letters": letters });
            if global.format() == Format::Json { output::json(&told)? } else { output::ndjson(&told)? }
        }
        Format::Table => {
            let told = [
                ("object", printable(&parcel.object)),
                ("sha256", parcel.sha256.clone()),
                ("bytes", parcel.bytes.to_string()),
                ("stage", place(&parcel.pipeline, &parcel.stage)),
                (
                    "stood at",
                    format!(
                        "{}-{}, offsets {} to {}",
                        printable(&parcel.topic),
                        parcel.partition,
                        parcel.first_offset,
                        parcel.last_offset
                    ),
                ),
                ("died", format!("{:.0} to {:.0}", parcel.from, parcel.to)),
            ];
            let lines: String = told.iter().map(|(name, value)| format!("{name:<10}{value}\n")).collect();
            output::to_stdout(&format!("{lines}\n{}", letters(known.iter(), now)))?;
        }
    }
    Ok(ExitCode::Done)
}

/// As a table.
pub fn letters<'a>(known: impl Iterator<Item = &'a Known>, now: Timestamp) -> String {
    let row = |known: &Known| {
        vec![
            known.entry.id.clone(),
            place(&known.entry.pipeline, &known.entry.stage),
            printable(&known.entry.code),
            known.state.as_str().to_owned(),
            format!("{:?}", known.kept).to_lowercase(),
            printable(&known.entry.job),
            age(known.entry.last_failure, now),
        ]
    };
    output::table(&["id", "stage", "code", "state", "kept", "job", "age"], known.map(row).collect())
}

fn place(pipeline: &str, stage: &str) -> String {
    match pipeline {
        "" => "-".into(),
        pipeline => format!("{}.{}", printable(pipeline), printable(stage)),
    }
}
