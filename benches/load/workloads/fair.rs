//! One tenant sends as much as a hundred others, and all of it is slow, or fails. What do the others notice? Broker, feeder and
//! reader have the same processors, so it is measured too what they notice when as much is sent to a topic that no stage reads.

use std::time::Duration;

use crate::flow::{self, Item, WARM_UP};
use crate::lab::Lab;
use crate::ours::Ours;
use crate::row::Row;
use crate::side::Side;
use crate::spread::percentile;

const OTHERS: u64 = 10;
/// Of each of them.
const PER_SECOND: u64 = 10;
/// Of the noisy one: as much as a hundred of them.
const NOISE: u64 = 100 * PER_SECOND;

pub async fn fair(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let time = WARM_UP + Duration::from_secs(lab.size(30, 5));
    let quiet = others(time);
    // What of it is the machine's and the broker's.
    let mut elsewhere = with_noise(&quiet, "always", time);
    let topic = lab.topic("elsewhere", 6, false).await?;
    for item in elsewhere.iter_mut().filter(|item| item.fate.is_some()) {
        item.topic = Some(topic.clone());
    }
    let what = "100 times the records, sent to a topic that no stage reads";
    let mut rows: Vec<Row> = beside(lab, what, &quiet, &elsewhere).await?.into();
    for (how, fate) in [("all slow (200 ms)", "200"), ("all failing", "always")] {
        let what = format!("a tenant with 100 times the records, {how}");
        let [tail, median] = beside(lab, &what, &quiet, &with_noise(&quiet, fate, time)).await?;
        rows.extend([tail.at_most(1.2), median]);
    }
    Ok(rows)
}

/// The others' p99 and median, with the noise and without.
async fn beside(lab: &Lab, what: &str, quiet: &[Item], loud: &[Item]) -> anyhow::Result<[Row; 2]> {
    let (mut tails, mut medians, mut rss) = (Vec::new(), Vec::new(), 0);
    for turn in 0..lab.repeat {
        let pair = if turn % 2 == 0 {
            let quiet = once(lab, quiet, &mut rss).await?;
            (once(lab, loud, &mut rss).await?, quiet)
        } else {
            (once(lab, loud, &mut rss).await?, once(lab, quiet, &mut rss).await?)
        };
        medians.push((percentile(&pair.0, 50.0), percentile(&pair.1, 50.0)));
        tails.push((percentile(&pair.0, 99.0), percentile(&pair.1, 99.0)));
    }
    let row = |number: &str, pairs: &[(f64, f64)]| {
        Row::ratio("fair", format!("{what}: {number} of the others"), "ms", pairs).used(rss, None)
    };
    Ok([row("p99", &tails), row("median", &medians)])
}

fn others(time: Duration) -> Vec<Item> {
    let mut items = Item::steady(OTHERS * PER_SECOND, time);
    for (n, item) in items.iter_mut().enumerate() {
        item.tenant = Some(format!("other-{}", n as u64 % OTHERS));
    }
    items
}

fn with_noise(quiet: &[Item], fate: &str, time: Duration) -> Vec<Item> {
    let noise = Item::steady(NOISE, time).into_iter().map(|item| Item {
        tenant: Some("noisy".to_owned()),
        fate: Some(fate.to_owned()),
        // It may be far behind when the others are done.
        comes_out: false,
        ..item
    });
    let mut items: Vec<Item> = quiet.iter().cloned().chain(noise).collect();
    items.sort_by_key(|item| item.at);
    items
}

async fn once(lab: &Lab, items: &[Item], rss: &mut u64) -> anyhow::Result<Vec<f64>> {
    let settings = Ours { rungs_ms: vec![1000], fair: true, ..Ours::default() };
    let order = lab.ours("fair", 6, settings).await?;
    let side = Side::start(&order).await?;
    let times = flow::run(&order, items).await?;
    let report = side.stop().await?;
    *rss = (*rss).max(report.usage.rss_max_kib);
    let times = flow::warm(items, &times, |_, item| item.fate.is_none());
    eprintln!(
        "   of {} records {} were done, {} retried, {} dead; the others: median {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        items.len(),
        report.done,
        report.retried,
        report.dead,
        percentile(&times, 50.0),
        percentile(&times, 99.0),
        percentile(&times, 100.0)
    );
    Ok(times)
}
