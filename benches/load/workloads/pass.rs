//! A stage that returns its record, as fast as it goes, from a topic that was filled before.

use crate::lab::Lab;
use crate::ours::Ours;
use crate::records;
use crate::row::Row;
use crate::seen::Seen;
use crate::side::{Order, Program, Side};
use crate::spread::Spread;
use crate::usage::Machine;

const PARTITIONS: i32 = 6;

pub async fn at_least_once(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let ours = lab.as_said(Ours { at_least_once: true, ..Ours::default() });
    compare(lab, "pass-at-least", "512 B, 6 partitions, at least once", ours, Program::BareLoop).await
}

pub async fn exactly_once(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let ours = lab.as_said(Ours::default());
    compare(lab, "pass-exactly", "512 B, 6 partitions, exactly once", ours, Program::BareTransactions).await
}

/// What one run of one side gave.
struct Run {
    rate: f64,
    cpu: f64,
    rss_max_kib: u64,
    doubled: u64,
    /// The share of the machine's processors that was used, by whomever.
    busy: f64,
}

async fn compare(
    lab: &Lab,
    workload: &str,
    what: &str,
    ours: Program,
    bare: Program,
) -> anyhow::Result<Vec<Row>> {
    let records = lab.records(300_000, 20_000);
    let input = lab.topic("in", PARTITIONS, false).await?;
    records::fill(&lab.kafka, &input, 0..records, |_| None).await?;
    // Not counted: the broker compiles its code while it runs for the first time.
    once(lab, &input, records, &bare).await?;
    let (mut pairs, mut doubled) = (Vec::new(), 0);
    for turn in 0..lab.repeat {
        // Who goes first changes, so that a drift of the machine cancels.
        let pair = if turn % 2 == 0 {
            let bare = once(lab, &input, records, &bare).await?;
            (once(lab, &input, records, &ours).await?, bare)
        } else {
            (once(lab, &input, records, &ours).await?, once(lab, &input, records, &bare).await?)
        };
        doubled += pair.0.doubled;
        pairs.push(pair);
    }
    let of =
        |get: fn(&Run) -> f64| pairs.iter().map(|(ours, bare)| (get(ours), get(bare))).collect::<Vec<_>>();
    let rss = pairs.iter().map(|(ours, _)| ours.rss_max_kib).max().unwrap_or(0);
    let cpu = Row::ratio(workload, format!("{what}: CPU"), "µs/record", &of(|run| run.cpu)).at_most(3.0);
    let per_record = Some(cpu.measured.median);
    let bare_rss = pairs.iter().map(|(_, bare)| bare.rss_max_kib).max().unwrap_or(0) / 1024;
    let rate = Row::ratio(workload, format!("{what}: rate"), "records/s", &of(|run| run.rate)).at_least(0.7);
    let busy = Spread::of(pairs.iter().map(|(ours, _)| ours.busy * 100.0));
    let rate = rate
        .used(rss, per_record)
        .note(format!("{records} records, all came out, {doubled} twice"))
        .note(format!("the machine was busy to {busy} %"));
    Ok(vec![rate, cpu.used(rss, per_record).note(format!("the bare loop has {bare_rss} MiB"))])
}

async fn once(lab: &Lab, input: &str, records: u64, program: &Program) -> anyhow::Result<Run> {
    let output = lab.topic("out", PARTITIONS, true).await?;
    let order = Order {
        kafka: lab.kafka.clone(),
        name: lab.name("pass"),
        input: input.to_owned(),
        output: output.clone(),
        expect: Some(records),
        program: program.clone(),
    };
    let before = Machine::now()?;
    let report = Side::start(&order).await?.end().await?;
    let busy = Machine::now()?.busy_since(before);
    let seen = Seen::read(&lab.kafka, &output, records).await?;
    let doubled = seen.complete(records)?;
    let once = !matches!(program, Program::BareLoop | Program::Ours(Ours { at_least_once: true, .. }));
    anyhow::ensure!(!once || doubled == 0, "{doubled} records came out twice");
    let run = Run {
        rate: seen.rate(report.at)?,
        cpu: report.cpu_per_record(),
        rss_max_kib: report.usage.rss_max_kib,
        doubled,
        busy,
    };
    let side = if matches!(program, Program::Ours(_)) { "ours" } else { "bare" };
    eprintln!(
        "   {side} {:.0} records/s, {:.2} µs CPU/record, {} MiB",
        run.rate,
        run.cpu,
        run.rss_max_kib / 1024
    );
    Ok(run)
}
