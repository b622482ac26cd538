//! A million records wait for an hour. Where are they: in Kafka, or in memory?

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, interval};

use crate::flow::{self, Item, WARM_UP};
use crate::lab::Lab;
use crate::ours::Ours;
use crate::records;
use crate::row::Row;
use crate::side::{Order, Side};
use crate::spread::{Spread, percentile};

const PER_SECOND: u64 = 500;
/// Healthy records that go through first, so that every buffer has been filled once.
const FIRST: u64 = 100_000;
/// Longest time until all wait.
const FILL_MAX: Duration = Duration::from_secs(600);

pub async fn waiting(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let records = lab.records(1_000_000, 20_000);
    let order = lab.ours("waiting", 6, Ours { rungs_ms: vec![3_600_000], ..Ours::default() }).await?;
    let mut side = Side::start(&order).await?;
    let first = lab.size(FIRST, 2_000);
    records::fill(&lab.kafka, &order.input, 0..first, |_| None).await?;
    until(&mut side, |report| report.done >= first).await?;
    let time = WARM_UP + Duration::from_secs(lab.size(20, 5));
    let (before, rss_before) = healthy(&order, &side, time).await?;

    let begun = Instant::now();
    let fate = Item { fate: Some("once".to_owned()), ..Item::default() };
    records::fill(&lab.kafka, &order.input, 0..records, move |_| fate.headers()).await?;
    until(&mut side, |report| report.retried >= records).await?;
    let took = begun.elapsed();
    eprintln!("   {records} wait after {took:.0?}, {:.0} a second", records as f64 / took.as_secs_f64());
    let (after, rss_after) = healthy(&order, &side, time).await?;
    let report = side.stop().await?;
    anyhow::ensure!(report.retried == records, "{} of {records} wait", report.retried);

    let mib = |kib: u64| kib as f64 / 1024.0;
    let growth = mib(rss_after) - mib(rss_before);
    let what = format!("{records} records wait on a rung: resident memory grows by");
    let grows = Row::limit("waiting", what, "MiB", Spread::one(growth)).at_most(32.0);
    let grows = grows.used(report.usage.rss_max_kib, None).note(format!(
        "from {:.0} to {:.0} MiB; they were put there in {:.0} s",
        mib(rss_before),
        mib(rss_after),
        took.as_secs_f64()
    ));
    let p99 = [(percentile(&after, 99.0), percentile(&before, 99.0))];
    let p99 = Row::ratio("waiting", "500 records/s beside them: p99", "ms", &p99);
    Ok(vec![grows, p99.used(report.usage.rss_max_kib, None)])
}

/// Times of a healthy stream, and the most memory that the side had meanwhile.
async fn healthy(order: &Order, side: &Side, time: Duration) -> anyhow::Result<(Vec<f64>, u64)> {
    let items = Item::steady(PER_SECOND, time);
    let mut most = 0;
    let times = {
        let stream = flow::run(order, &items);
        tokio::pin!(stream);
        let mut looks = interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                times = &mut stream => break times?,
                _ = looks.tick() => most = most.max(side.usage()?.rss_kib),
            }
        }
    };
    Ok((flow::warm(&items, &times, |_, _| true), most))
}

async fn until(side: &mut Side, done: impl Fn(&crate::side::Report) -> bool) -> anyhow::Result<()> {
    let (begun, mut looks) = (Instant::now(), interval(Duration::from_millis(200)));
    loop {
        looks.tick().await;
        if done(&side.so_far().await?) {
            return Ok(());
        }
        (begun.elapsed() < FILL_MAX).then_some(()).context("the side does not get through its records")?;
    }
}
