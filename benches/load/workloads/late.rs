//! Every record fails once and waits a second. When is it called again, beside the due time in its header?

use std::time::Duration;

use crate::flow::{self, Item};
use crate::lab::Lab;
use crate::ours::Ours;
use crate::records;
use crate::row::Row;
use crate::rung;
use crate::side::{Order, Report, Side};
use crate::spread::{Spread, percentile};

const PER_SECOND: u64 = 500;

pub async fn late(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (mut burst, mut steady) = (Runs::default(), Runs::default());
    for _ in 0..lab.repeat {
        burst.add(in_a_burst(lab).await?);
        steady.add(one_by_one(lab).await?);
    }
    let mut rows = burst.rows("in a burst", 100.0);
    rows.extend(steady.rows("at 500/s", 20.0));
    Ok(rows)
}

#[derive(Default)]
struct Runs {
    medians: Vec<f64>,
    tails: Vec<f64>,
    early: Vec<f64>,
    retries: usize,
    rss: u64,
}

impl Runs {
    fn add(&mut self, (late, rss): (Vec<f64>, u64)) {
        self.medians.push(percentile(&late, 50.0));
        self.tails.push(percentile(&late, 99.0));
        self.early.push(late.iter().filter(|late| **late < 0.0).count() as f64);
        (self.retries, self.rss) = (self.retries + late.len(), self.rss.max(rss));
    }

    fn rows(self, how: &str, reach: f64) -> Vec<Row> {
        let row = |what: &str, unit: &str, values: Vec<f64>, reach: f64| {
            let what = format!("all fail once, 1 s rung, {how}: {what}");
            Row::limit("late", what, unit, Spread::of(values)).at_most(reach).used(self.rss, None)
        };
        let median = Spread::of(self.medians);
        let tails = row("lateness p99", "ms", self.tails, reach);
        vec![
            tails.note(format!("median {median} ms, {} retries", self.retries)),
            row("early", "records", self.early, 0.0),
        ]
    }
}

fn settings() -> Ours {
    Ours { rungs_ms: vec![1000], calls: true, ..Ours::default() }
}

async fn in_a_burst(lab: &Lab) -> anyhow::Result<(Vec<f64>, u64)> {
    let records = lab.records(10_000, 2_000);
    let mut order = lab.ours("late", 6, settings()).await?;
    order.expect = Some(records);
    let fate = Item { fate: Some("once".to_owned()), ..Item::default() };
    records::fill(&lab.kafka, &order.input, 0..records, move |_| fate.headers()).await?;
    let report = Side::start(&order).await?.end().await?;
    lateness(&order, report, records).await
}

async fn one_by_one(lab: &Lab) -> anyhow::Result<(Vec<f64>, u64)> {
    let records = lab.records(10_000, 2_000);
    let order = lab.ours("late", 6, settings()).await?;
    let side = Side::start(&order).await?;
    let mut items = Item::steady(PER_SECOND, Duration::from_secs(records / PER_SECOND));
    items.iter_mut().for_each(|item| item.fate = Some("once".to_owned()));
    flow::run(&order, &items).await?;
    let report = side.stop().await?;
    lateness(&order, report, items.len() as u64).await
}

/// Milliseconds between due time and second call, of each record.
async fn lateness(order: &Order, report: Report, records: u64) -> anyhow::Result<(Vec<f64>, u64)> {
    let due = rung::due_times(&order.kafka, &format!("{}.s.retry.1s", order.name)).await?;
    anyhow::ensure!(due.len() as u64 == records, "{} of {records} were on the rung", due.len());
    let again = report.calls.iter().filter(|call| call.attempt == 2);
    let late: Vec<f64> = again
        .filter_map(|call| Some((call.at - due.get(&(call.partition, call.offset))?) as f64 / 1000.0))
        .collect();
    anyhow::ensure!(late.len() as u64 >= records, "{} of {records} were called again", late.len());
    eprintln!(
        "   {} retries: late by {:.1} ms at the median, {:.1} at p99, {:.1} at most; earliest {:.3}",
        late.len(),
        percentile(&late, 50.0),
        percentile(&late, 99.0),
        percentile(&late, 100.0),
        percentile(&late, 0.0)
    );
    Ok((late, report.usage.rss_max_kib))
}
