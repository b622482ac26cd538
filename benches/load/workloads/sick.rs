//! Some records fail. What do those notice that do not?

use std::time::Duration;

use crate::flow::{self, Item, WARM_UP};
use crate::lab::Lab;
use crate::ours::Ours;
use crate::row::Row;
use crate::side::Side;
use crate::spread::percentile;

const PER_SECOND: u64 = 500;

/// Of a hundred in a row five fail once and one for good, spread so that no beat comes of it.
fn fate(n: usize) -> Option<&'static str> {
    match n.wrapping_mul(37) % 100 {
        0..5 => Some("once"),
        5 => Some("dead"),
        _ => None,
    }
}

pub async fn sick(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let well = Item::steady(PER_SECOND, WARM_UP + Duration::from_secs(lab.size(40, 5)));
    let ill = |(n, item): (usize, &Item)| {
        let fate = fate(n);
        Item { fate: fate.map(str::to_owned), comes_out: fate != Some("dead"), ..item.clone() }
    };
    let ill: Vec<Item> = well.iter().enumerate().map(ill).collect();
    let (mut tails, mut medians, mut rss) = (Vec::new(), Vec::new(), 0);
    for turn in 0..lab.repeat {
        let pair = if turn % 2 == 0 {
            let well = once(lab, &well, &mut rss).await?;
            (once(lab, &ill, &mut rss).await?, well)
        } else {
            (once(lab, &ill, &mut rss).await?, once(lab, &well, &mut rss).await?)
        };
        medians.push((percentile(&pair.0, 50.0), percentile(&pair.1, 50.0)));
        tails.push((percentile(&pair.0, 99.0), percentile(&pair.1, 99.0)));
    }
    let row = |what: &str, pairs: &[(f64, f64)]| {
        Row::ratio("sick", format!("500 records/s, 6 % fail: {what} of the healthy"), "ms", pairs)
            .used(rss, None)
    };
    Ok(vec![row("p99", &tails).at_most(1.1), row("median", &medians)])
}

/// The times of those that are healthy in both runs.
async fn once(lab: &Lab, items: &[Item], rss: &mut u64) -> anyhow::Result<Vec<f64>> {
    let order = lab.ours("sick", 6, Ours { rungs_ms: vec![1000], ..Ours::default() }).await?;
    let side = Side::start(&order).await?;
    let times = flow::run(&order, items).await?;
    let report = side.stop().await?;
    let failing = items.iter().filter(|item| item.fate.as_deref() == Some("once")).count() as u64;
    anyhow::ensure!(report.retried == failing, "{} of {failing} were tried again", report.retried);
    *rss = (*rss).max(report.usage.rss_max_kib);
    let times = flow::warm(items, &times, |n, _| fate(n).is_none());
    eprintln!(
        "   {failing} fail once, {} are dead: median {:.1} ms, p99 {:.1} ms of the healthy",
        report.dead,
        percentile(&times, 50.0),
        percentile(&times, 99.0)
    );
    Ok(times)
}
