//! `lazaret lag`: how far each stage is behind.

use jiff::Timestamp;
use serde::Serialize;

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::Span;
use crate::flow::Topology;
use crate::ops::lag::{Part, StageLag, look};

/// Say how far each stage is behind, in records and in time, asked from the broker: it is known even when nobody runs the stage.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this pipeline.
    #[arg(long)]
    pipeline: Option<String>,
    /// Only this stage.
    #[arg(long)]
    stage: Option<String>,
    /// A row for each partition instead of one for each topic.
    #[arg(long)]
    partitions: bool,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let mut topology = Topology::derive(&config);
    let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    topology.stages.retain(|one| is(&args.pipeline, &one.pipeline) && is(&args.stage, &one.stage));
    if topology.stages.is_empty() {
        return Err(Failure::new(ExitCode::NothingMatched, "the configuration has no such stage")
            .hint("`lazaret topics list` names the stages with their topics"));
    }
    let (stages, now) = (look(&config.kafka, &topology).await?, Timestamp::now());
    match global.format() {
        Format::Json => output::json(&serde_json::json!({ "stages": stages }))?,
        Format::Ndjson => stages.iter().flat_map(flat).try_for_each(|part| output::ndjson(&part))?,
        Format::Table => {
            let rows = stages.iter().flat_map(|stage| rows(stage, args.partitions, now)).collect();
            let heading = ["stage", "runs", "topic", "lane", "lag", "behind", "committed", "end"];
            output::to_stdout(&output::table(&heading, rows))?;
        }
    }
    Ok(ExitCode::Done)
}

/// A partition with its stage.
#[derive(Serialize)]
struct Flat<'a> {
    pipeline: &'a str,
    stage: &'a str,
    #[serde(flatten)]
    part: &'a Part,
}

fn flat(stage: &StageLag) -> impl Iterator<Item = Flat<'_>> {
    stage.parts.iter().map(|part| Flat { pipeline: &stage.pipeline, stage: &stage.stage, part })
}

fn rows(stage: &StageLag, partitions: bool, now: Timestamp) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let of_topic = stage.parts.chunk_by(|one, next| one.topic == next.topic);
    for parts in of_topic.flat_map(|parts| if partitions { parts.chunks(1).collect() } else { vec![parts] }) {
        let Some(first) = parts.first() else { continue };
        let behind = parts.iter().map(|part| part.behind(now)).max().unwrap_or_default();
        let lag: u64 = parts.iter().map(|part| part.lag).sum();
        let sum = |of: fn(&Part) -> i64| parts.iter().map(of).sum::<i64>().to_string();
        rows.push(vec![
            format!("{}.{}", stage.pipeline, stage.stage),
            stage.members.map_or_else(|| "?".to_owned(), |members| members.to_string()),
            if partitions { format!("{}-{}", first.topic, first.partition) } else { first.topic.clone() },
            first.rung.as_ref().map_or_else(|| first.lane.to_owned(), |rung| format!("rung {rung}")),
            lag.to_string(),
            if lag == 0 { "-".to_owned() } else { Span::secs(behind.as_secs()).to_string() },
            sum(|part| part.committed.unwrap_or_default()),
            sum(|part| part.end),
        ]);
    }
    rows
}
