//! `lazaret capacity`: what a stage needs for a rate.

use serde_json::json;

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::{Config, Size, Span};
use crate::flow::topology::StageTopics;
use crate::flow::{Code, Topology};
use crate::ops::capacity::measure::measure;
use crate::ops::capacity::{Capacity, FETCHED, Provider, Set, Work, plan, set};

/// Say what a stage needs for a rate: records in flight, processes, partitions, memory, room in Kafka, and how long a backlog takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stage.
    #[arg(long)]
    stage: String,
    /// Its pipeline, where several have a stage of this name.
    #[arg(long)]
    pipeline: Option<String>,
    /// New records a second.
    #[arg(long, required_unless_present = "measure", value_parser = positive)]
    rate: Option<f64>,
    /// Measure the rate on the stage's input for this long, and take what waits there as the backlog.
    #[arg(long, value_name = "TIME", value_parser = Span::parse, conflicts_with_all = ["rate", "backlog"])]
    measure: Option<Span>,
    /// How long an attempt takes on average, its call included.
    #[arg(long, value_parser = Span::parse)]
    time: Span,
    /// Share of attempts that fail and are tried again, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    failing: f64,
    /// Share of attempts after which the record is dead, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    dying: f64,
    /// What those that are tried again fail with, where it has limits of its own (`retry.overrides`).
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<Code>,
    /// Size of a record on average.
    #[arg(long, default_value = "4KiB", value_parser = Size::parse)]
    record: Size,
    /// Calls a minute that the provider lets through.
    #[arg(long, value_parser = positive)]
    rpm: Option<f64>,
    /// Tokens a minute that the provider lets through.
    #[arg(long, value_parser = positive, requires = "tokens")]
    tpm: Option<f64>,
    /// Tokens of a call on average, question and answer.
    #[arg(long, value_parser = positive)]
    tokens: Option<f64>,
    /// Calls that the provider takes at the same time.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,
    /// Records that wait already.
    #[arg(long, default_value_t = 0)]
    backlog: u64,
    /// Time in which these are to be done as well.
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    within: Option<Span>,
    /// With so many processes, instead of as many as are needed.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    replicas: Option<u64>,
    /// Share of the places that is planned to be busy, 0 to 1.
    #[arg(long, default_value_t = 0.7, value_parser = share)]
    busy: f64,
}

/// A plan that does not fit is a plan: what to do about it is said beside it.
pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let stage = stage(&config, &args)?;
    let work = work(&args, &config, &stage).await?;
    let found = set(&config, &stage.pipeline, &stage.stage, args.code);
    let set =
        found.ok_or_else(|| Failure::new(ExitCode::NothingMatched, "the configuration has no such stage"))?;
    let capacity = plan(&work, &set, args.replicas);
    match global.format() {
        Format::Json => output::json(&json!({ "work": work, "set": set, "capacity": capacity }))?,
        Format::Ndjson => output::ndjson(&json!({ "work": work, "set": set, "capacity": capacity }))?,
        Format::Table => {
            output::to_stdout(&output::table(&["what", "value", "because"], rows(&work, &set, &capacity)))?;
            capacity.advice.iter().try_for_each(|line| output::to_stdout(&format!("\n- {line}")))?;
            if !capacity.advice.is_empty() {
                output::to_stdout("\n")?;
            }
        }
    }
    Ok(ExitCode::Done)
}

fn stage(config: &Config, args: &Args) -> Result<StageTopics, Failure> {
    let is_meant = |one: &StageTopics| {
        one.stage == args.stage && args.pipeline.as_deref().is_none_or(|pipeline| one.pipeline == pipeline)
    };
    let mut meant = Topology::derive(config).stages.into_iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one),
        (Some(one), Some(other)) => {
            let message = format!("{} and {} have a stage '{}'", one.pipeline, other.pipeline, args.stage);
            Err(Failure::new(ExitCode::Usage, message).hint("add --pipeline"))
        }
        (None, _) => Err(Failure::new(ExitCode::NothingMatched, "the configuration has no such stage")
            .hint("`lazaret topics list` names the stages with their topics")),
    }
}

async fn work(args: &Args, config: &Config, stage: &StageTopics) -> Result<Work, Failure> {
    let usage = |message: &str| Failure::new(ExitCode::Usage, message);
    if args.time.0.is_zero() || args.busy <= 0.0 || args.within.is_some_and(|within| within.0.is_zero()) {
        return Err(usage("--time, --within and --busy must be more than 0"));
    }
    if args.within.is_some() && args.measure.is_none() && args.backlog == 0 {
        let message = "--within is the time for records that wait already, and none are given";
        return Err(usage(message).hint("add --backlog, or --measure instead of --rate"));
    }
    if args.failing + args.dying > 1.0 || args.failing >= 1.0 {
        return Err(usage(
            "of all attempts, --failing and --dying are at most 1 together, and --failing less than 1",
        ));
    }
    let (rate, backlog) = match (args.measure, args.rate) {
        (Some(over), _) if over.0.is_zero() => return Err(usage("--measure must be more than 0")),
        (Some(over), _) => {
            let measured = measure(&config.kafka, stage, over.0).await?;
            (measured.rate, measured.backlog)
        }
        (None, rate) => (rate.unwrap_or_default(), args.backlog),
    };
    Ok(Work {
        rate,
        time: args.time.0.as_secs_f64(),
        failing: args.failing,
        dying: args.dying,
        record: args.record.0,
        backlog,
        within: args.within.map(|within| within.0.as_secs_f64()),
        busy: args.busy,
        provider: Provider {
            calls_per_minute: args.rpm,
            tokens_per_minute: args.tpm,
            tokens: args.tokens,
            calls_at_once: args.at_once,
        },
    })
}

fn rows(work: &Work, set: &Set, capacity: &Capacity) -> Vec<Vec<String>> {
    let row = |what: &str, value: String, because: String| vec![what.to_owned(), value, because];
    let retention =
        |kept: Option<f64>| kept.map_or("for ever".to_owned(), |kept| format!("for {}", time(kept)));
    let mut rows = vec![
        row(
            "attempts of a record",
            number(capacity.attempts),
            format!("{} of attempts fail and are tried again", percent(work.failing)),
        ),
        row(
            "attempts a second",
            number(capacity.attempts_per_second),
            format!("{} records a second come", number(work.rate)),
        ),
        row("in flight", number(capacity.in_flight), format!("Little's law: × {}", time(work.time))),
        row("places", capacity.places.to_string(), format!("{} of them busy", percent(work.busy))),
        row(
            "processes",
            capacity.replicas.to_string(),
            format!("{} places each (concurrency)", set.concurrency),
        ),
        row(
            "partitions of the input, at least",
            capacity.partitions.to_string(),
            format!("one for each process; there are {}", set.partitions),
        ),
        row("window of a partition, at least", capacity.window.to_string(), format!("it is {}", set.window)),
        row(
            "memory of a process, at most",
            bytes(capacity.memory as f64),
            format!(
                "itself, {} fetched ahead, windows, work; what other stages in it hold comes on top",
                bytes(FETCHED as f64)
            ),
        ),
        row(
            "records a second, at most",
            number(capacity.rate_max),
            match capacity.ceiling {
                Some(ceiling) => format!("the provider lets {} calls a second through", number(ceiling)),
                None => "of these processes; no limit of the provider is given".to_owned(),
            },
        ),
        row(
            "waiting on rungs",
            number(capacity.waiting),
            match set.code {
                Some(code) => format!("up to {} waits of a record that fails with {code}", set.waits.len()),
                None => format!("up to {} waits of a record", set.waits.len()),
            },
        ),
        row(
            "dead letters a day",
            number(capacity.dead_per_day),
            format!("{} of the records", percent(capacity.dead)),
        ),
        row(
            "disk: input",
            bounded(capacity.disk.input),
            format!("{} replicas, kept {}", set.replication, retention(set.retention)),
        ),
        row(
            "disk: rungs",
            bounded(capacity.disk.rungs),
            format!("kept {}, read or not", retention(set.waiting_retention)),
        ),
        row(
            "disk: dead letters, a day",
            bytes(capacity.disk.dead_per_day),
            format!("kept {}", retention(set.dlq_retention)),
        ),
    ];
    if work.backlog > 0 {
        let drain = capacity.drain.map_or("never".to_owned(), time);
        rows.push(row("backlog gone after", drain, format!("{} records wait", work.backlog)));
    }
    rows
}

fn number(number: f64) -> String {
    if number >= 100.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 10_000.0).round() / 100.0)
}

fn bytes(count: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut steps = units
        .iter()
        .enumerate()
        .map(|(n, unit)| (count / 1024f64.powi(i32::try_from(n).unwrap_or_default()), unit));
    let fits = |(size, _): &(f64, &&str)| *size < 1024.0;
    let (size, unit) = steps.clone().find(fits).or(steps.next_back()).unwrap_or((count, &"B"));
    format!("{size:.1} {unit}")
}

/// What is kept for ever grows.
fn bounded(count: Option<f64>) -> String {
    count.map_or("no bound".to_owned(), bytes)
}

/// To the second, or as it was given when it is shorter.
fn time(seconds: f64) -> String {
    let exact = std::time::Duration::try_from_secs_f64(seconds).unwrap_or(std::time::Duration::MAX);
    match exact.as_secs() {
        0 => Span::millis(u64::try_from(exact.as_millis()).unwrap_or_default()).to_string(),
        whole if exact.subsec_nanos() == 0 => Span::secs(whole).to_string(),
        whole => crate::ops::dlq::explain::span(i64::try_from(whole).unwrap_or(i64::MAX)),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or_else(|| "write a number above 0".into())
}

fn code(text: &str) -> Result<Code, String> {
    text.parse().map_err(|_| "no failure has this code; `lazaret codes` lists them".into())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share from 0 to 1, such as 0.05".into())
}
