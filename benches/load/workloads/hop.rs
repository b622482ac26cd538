//! An idle stage: how long one record takes from its producer to a reader of committed records.

use std::time::Duration;

use crate::flow::{self, Item};
use crate::lab::Lab;
use crate::ours::Ours;
use crate::row::Row;
use crate::side::{Order, Program, Side};
use crate::spread::{Spread, percentile};

const PARTITIONS: i32 = 6;
/// Left out: connections are made, code is compiled.
const WARM_UP: Duration = Duration::from_secs(3);

pub async fn hop(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (mut medians, mut tails, mut rss) = (Vec::new(), Vec::new(), 0);
    for _ in 0..lab.repeat {
        let (input, output) =
            (lab.topic("in", PARTITIONS, false).await?, lab.topic("out", PARTITIONS, false).await?);
        let order = Order {
            kafka: lab.kafka.clone(),
            name: lab.name("hop"),
            input: input.clone(),
            output: output.clone(),
            expect: None,
            program: Program::Ours(Ours::default()),
        };
        let side = Side::start(&order).await?;
        let items = Item::steady(10, WARM_UP + Duration::from_secs(lab.size(30, 5)));
        let times = flow::run(&lab.kafka, &input, &output, &items).await?;
        rss = rss.max(side.stop().await?.usage.rss_max_kib);
        let warm = items.iter().zip(times).filter(|(item, _)| item.at >= WARM_UP);
        let times: Vec<f64> = warm.filter_map(|(_, time)| time).collect();
        medians.push(percentile(&times, 50.0));
        tails.push(percentile(&times, 99.0));
    }
    let tail = Spread::of(tails);
    let row =
        Row::limit("hop", "10 records/s, exactly once: median", "ms", Spread::of(medians)).at_most(25.0);
    Ok(vec![row.used(rss, None).note(format!("p99 {tail} ms"))])
}
