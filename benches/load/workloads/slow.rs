//! A stage that waits for somebody else: its pace is in-flight records through time (Little), until the processors are
//! the limit. With fewer in flight that comes later, which tells the two apart.

use crate::lab::Lab;
use crate::ours::Ours;
use crate::records;
use crate::row::Row;
use crate::seen::Seen;
use crate::side::Side;
use crate::spread::Spread;
use crate::usage::Machine;

const TAKES_MS: u64 = 50;
/// From here on the machine has nothing left to give.
const FULL: f64 = 0.95;

pub async fn slow(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for partitions in [1, 6] {
        for in_flight in [1000, 100] {
            rows.push(case(lab, partitions, in_flight).await?);
        }
    }
    Ok(rows)
}

async fn case(lab: &Lab, partitions: i32, in_flight: usize) -> anyhow::Result<Row> {
    let limit = in_flight as f64 * 1000.0 / TAKES_MS as f64;
    let records = lab.records((limit * 8.0) as u64, limit as u64);
    let (mut pairs, mut cpu, mut busy, mut rss) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..lab.repeat {
        let settings = Ours { takes_ms: TAKES_MS, in_flight: Some(in_flight), ..Ours::default() };
        let mut order = lab.ours("slow", partitions, settings).await?;
        order.expect = Some(records);
        records::fill(&lab.kafka, &order.input, 0..records, |_| None).await?;
        let before = Machine::now()?;
        let report = Side::start(&order).await?.end().await?;
        busy.push(Machine::now()?.busy_since(before));
        let seen = Seen::read(&lab.kafka, &order.output, records).await?;
        anyhow::ensure!(seen.complete(records)? == 0, "records came out twice");
        pairs.push((seen.rate(report.at)?, limit));
        cpu.push(report.cpu_per_record());
        rss = rss.max(report.usage.rss_max_kib);
    }
    let busy = Spread::of(busy);
    let partition =
        if partitions == 1 { "1 partition".to_owned() } else { format!("{partitions} partitions") };
    let what = format!("50 ms, {in_flight} in flight, {partition}: rate");
    let mut row = Row::ratio("slow", what, "records/s", &pairs).at_least(0.9);
    row = row.used(rss, Some(Spread::of(cpu).median));
    let cores = row.measured.median * row.cpu_us_per_record.unwrap_or(f64::NAN) / 1e6;
    // The machine may be full of somebody else's work, which is no excuse. The broker has what the side has not.
    let all = std::thread::available_parallelism()?.get() as f64;
    row.cpu_bound = busy.median >= FULL && cores >= all / 2.0;
    let used =
        format!("the machine was busy to {:.0} %, the side used {cores:.1} processors", busy.median * 100.0);
    Ok(row.note("the baseline is Little's limit").note(used))
}
