//! An idle stage: how long one record takes from its producer to a reader of committed records.

use std::time::Duration;

use crate::flow::{self, Item, WARM_UP};
use crate::lab::Lab;
use crate::ours::Ours;
use crate::row::Row;
use crate::side::Side;
use crate::spread::{Spread, percentile};

pub async fn hop(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (mut medians, mut tails, mut rss) = (Vec::new(), Vec::new(), 0);
    for _ in 0..lab.repeat {
        let order = lab.ours("hop", 6, Ours::default()).await?;
        let side = Side::start(&order).await?;
        let items = Item::steady(10, WARM_UP + Duration::from_secs(lab.size(30, 5)));
        let times = flow::run(&order, &items).await?;
        rss = rss.max(side.stop().await?.usage.rss_max_kib);
        let times = flow::warm(&items, &times, |_, _| true);
        medians.push(percentile(&times, 50.0));
        tails.push(percentile(&times, 99.0));
    }
    let tail = Spread::of(tails);
    let row =
        Row::limit("hop", "10 records/s, exactly once: median", "ms", Spread::of(medians)).at_most(25.0);
    Ok(vec![row.used(rss, None).note(format!("p99 {tail} ms"))])
}
