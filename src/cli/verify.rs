//! `lazaret verify`: is every record of every input accounted for, and nothing there twice?

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::Span;
use crate::flow::topology::StageTopics;
use crate::ops::dlq::explain::printable;
use crate::ops::verify::{Finding, Job, Kind, Place, Report, Scope, StageReport, VerifyError, verify};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the stages of this pipeline.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only this stage.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// List at most this many jobs that are missing or stand somewhere twice.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Give up after this long.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = Span::parse)]
    timeout: Span,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let scope = Scope { pipeline: args.pipeline, stage: args.stage };
    let mut broken = Ok(());
    let show = |topics: &StageTopics, id: &str, job: &Job, place: Place| {
        if global.format() == Format::Ndjson && broken.is_ok() {
            broken = output::ndjson(&line(topics, id, job, place));
        }
    };
    let report = verify(&config, &scope, args.timeout.0, args.limit, show).await?;
    broken?;
    match global.format() {
        Format::Json => output::json(&as_json(&report))?,
        Format::Ndjson => report.findings.iter().try_for_each(output::ndjson)?,
        Format::Table => output::to_stdout(&text(&report))?,
    }
    if !report.ledger {
        output::to_stderr("there is no ledger here: what only it knows counts as unread or missing\n");
    }
    Ok(if report.is_clean() { ExitCode::Done } else { ExitCode::Partial })
}

/// A job and where it is.
fn line(topics: &StageTopics, id: &str, job: &Job, place: Place) -> Value {
    json!({
        "pipeline": topics.pipeline,
        "stage": topics.stage,
        "job": id,
        "record": job.input.map(|at| format!("{}-{}@{}", topics.input, at.partition, at.offset)),
        "place": place,
        "ledger": job.ledger.map(crate::ledger::State::as_str),
        "outputs": job.outputs,
        "redrives": job.redrives,
    })
}

fn as_json(report: &Report) -> Value {
    let mut value = json!(report);
    value["clean"] = json!(report.is_clean());
    value
}

fn text(report: &Report) -> String {
    let mut heading = vec!["stage", "records"];
    let places: Vec<(Place, String)> = Place::ALL.into_iter().map(|place| (place, word(place))).collect();
    // Most columns are empty most of the time.
    let total = |place: &Place| report.stages.iter().map(|stage| count(&stage.jobs, place)).sum::<u64>();
    let always = |place: &Place| matches!(place, Place::Done | Place::Dead | Place::Unread | Place::Missing);
    let shown: Vec<_> = places.iter().filter(|(place, _)| always(place) || total(place) > 0).collect();
    heading.extend(shown.iter().map(|(_, word)| word.as_str()));
    heading.push("double");
    let row = |stage: &StageReport| {
        let mut row = vec![format!("{}.{}", stage.pipeline, stage.stage), stage.records.to_string()];
        row.extend(shown.iter().map(|(place, _)| count(&stage.jobs, place).to_string()));
        row.push(stage.double.to_string());
        row
    };
    let mut text = output::table(&heading, report.stages.iter().map(row).collect());
    report.stages.iter().flat_map(notes).for_each(|note| text.push_str(&format!("{note}\n")));
    if !report.findings.is_empty() {
        let row = |f: &Finding| {
            let kind = match (f.kind, f.allowed) {
                (Kind::Missing, _) => "missing",
                (Kind::Double, false) => "double",
                (Kind::Double, true) => "double (at least once)",
            };
            let record = f.record.clone().unwrap_or_default();
            vec![kind.into(), format!("{}.{}", f.pipeline, f.stage), printable(&f.job), record, f.what.into()]
        };
        let heading = ["what", "stage", "job", "record", "why"];
        text.push_str(&format!("\n{}", output::table(&heading, report.findings.iter().map(row).collect())));
    }
    text.push_str(&verdict(report));
    text
}

/// What explains a sum that does not look like one.
fn notes(stage: &StageReport) -> Vec<String> {
    let name = format!("{}.{}", stage.pipeline, stage.stage);
    let notes = [
        (stage.repeated, "records whose job stands on the input before"),
        (stage.older, "jobs that are not over and whose record Kafka has deleted from the input"),
        (
            stage.deleted,
            "offsets are beyond the horizon: Kafka has deleted them, and nothing is said of them",
        ),
        (stage.damaged_maps, "partitions with an offset map that cannot be read"),
    ];
    let said = notes.into_iter().filter(|(n, _)| *n > 0);
    said.map(|(n, what)| format!("{name}: {n} {what}")).collect()
}

fn verdict(report: &Report) -> String {
    let Report { missing, double, double_allowed, .. } = report;
    let listed = report.findings.len() as u64;
    let mut text = match report.is_clean() {
        true => "ok: every record is accounted for\n".to_owned(),
        false => format!("NOT accounted for: {missing} missing, {double} double\n"),
    };
    if listed < missing + double + double_allowed {
        let all = missing + double + double_allowed;
        text.push_str(&format!("{listed} of {all} are listed; --limit lists more\n"));
    }
    text
}

fn count(jobs: &BTreeMap<Place, u64>, place: &Place) -> u64 {
    jobs.get(place).copied().unwrap_or_default()
}

fn word(place: Place) -> String {
    json!(place).as_str().unwrap_or_default().replace('_', " ")
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::NoSuchStage(advice) => Failure::advised(ExitCode::NothingMatched, advice),
            VerifyError::TimedOut => Failure::new(ExitCode::TimedOut, error.to_string())
                .hint("--timeout gives more time; --pipeline and --stage read less"),
            VerifyError::Kafka(problem) => Failure::from(problem),
            VerifyError::Ledger(error) => Failure::new(ExitCode::Failed, error.to_string()),
        }
    }
}
