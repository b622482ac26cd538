//! What Lazaret costs beside a bare librdkafka loop, and whether it keeps its limits. Every measured side is a process
//! of its own (this program again, with the word `side`), so that its processor time and its memory are its own; this
//! process fills topics, feeds, and reads what came out.
//!
//! `scripts/bench.sh` builds and runs it; `--help` tells the options.

#![allow(clippy::print_stdout, reason = "its output is the result")]

mod bare;
mod flow;
mod kafka;
mod lab;
mod ours;
mod records;
mod row;
mod rung;
mod seen;
mod side;
mod spread;
mod usage;
mod workloads;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Parser;

use self::lab::Lab;
use self::row::{Row, Verdict};

/// As the program has it. The bare loops have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ratios against a bare librdkafka loop and limits, both in the same run.
#[derive(Parser)]
#[command(name = "load", bin_name = "scripts/bench.sh")]
struct Args {
    /// All, unless some are named; `--list` shows them.
    workloads: Vec<String>,
    /// Show the workloads.
    #[arg(long)]
    list: bool,
    /// Small numbers: whether it all works, not how fast.
    #[arg(long)]
    quick: bool,
    /// How often each pair of sides is measured, in turns; told are the median and the extremes.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: usize,
    /// Another number of records, where a workload goes by number.
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// A Kafka, best on this machine: processor time of both sides includes talking to it.
    #[arg(long, value_name = "HOST:PORT", env = "LAZARET_TEST_KAFKA")]
    kafka: Option<String>,
    /// A property of librdkafka for Lazaret's side, to see what it does.
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    /// Another window for Lazaret's side, in records of a partition.
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Lazaret's side delivers at least once in all workloads but `pass`, to see what transactions do.
    #[arg(long)]
    at_least_once: bool,
    /// Where the rows go as JSON, one a line.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the table goes as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Cargo passes it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true, value_name = "JSON")]
    side: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(order) = &args.side {
        return side::serve(serde_json::from_str(order)?).await;
    }
    if args.list {
        for workload in workloads::ALL {
            println!("{:16} {}", workload.name, workload.about);
        }
        return Ok(());
    }
    let chosen = choose(&args.workloads)?;
    let kafka = args.kafka.context("no Kafka is named; scripts/bench.sh starts one")?;
    let mut lab = Lab::new(kafka);
    (lab.quick, lab.records, lab.properties, lab.window) =
        (args.quick, args.records, args.property, args.window);
    lab.at_least_once = args.at_least_once;
    lab.repeat = if args.quick { 1 } else { args.repeat.max(1) };
    let mut rows = Vec::new();
    for workload in chosen {
        eprintln!("== {}: {}", workload.name, workload.about);
        let made = workload.run(&lab).await.with_context(|| workload.name.to_owned());
        lab.clean().await?;
        for row in made? {
            eprintln!("{row}");
            rows.push(row);
        }
    }
    rows.extend(memory(&rows));
    println!("{}", row::table(&rows));
    if let Some(file) = args.json {
        std::fs::write(file, rows.iter().map(Row::json).collect::<Result<String, _>>()?)?;
    }
    if let Some(file) = args.markdown {
        std::fs::write(file, row::markdown(&rows))?;
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict() == verdict).count();
    let (below, cpu) = (count(Verdict::Below), count(Verdict::Cpu));
    println!(
        "{below} of {} below what is to be reached; of {cpu} more the processors are the limit",
        rows.len()
    );
    Ok(())
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no =")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn choose(names: &[String]) -> anyhow::Result<Vec<&'static workloads::Workload>> {
    if names.is_empty() {
        return Ok(workloads::ALL.iter().collect());
    }
    let find = |name: &String| {
        let found: Vec<_> = workloads::ALL.iter().filter(|one| one.name.starts_with(name.as_str())).collect();
        if found.is_empty() {
            bail!("there is no workload '{name}'; --list shows them");
        }
        Ok(found)
    };
    Ok(names.iter().map(find).collect::<anyhow::Result<Vec<_>>>()?.concat())
}

/// The limit that holds for all of them.
fn memory(rows: &[Row]) -> Option<Row> {
    let most = rows.iter().filter_map(|row| row.rss_max_mib).max_by(f64::total_cmp)?;
    Some(
        Row::limit("memory", "resident memory in all of these, at most", "MiB", spread::Spread::one(most))
            .at_most(120.0),
    )
}
