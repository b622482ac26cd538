//! A service with its own stage, ladder and dead letter topic: it puts a price on orders.
//! `cargo run --example orders -- localhost:9092`

use std::time::Duration;

use lazaret::service::Error;
use lazaret::{Fault, Ladder, Output, Record, Service};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order {
    article: String,
    pieces: u64,
}

#[derive(Serialize)]
struct Priced {
    article: String,
    cents: u64,
}

/// The stage: one record in; one out, or the reason why not.
async fn price(record: Record) -> Result<Output, Fault> {
    let order: Order = record.json()?; // not JSON, or no order: a dead letter at once
    let cents = look_up(&order.article, record.attempt()).await?; // any error: waits on a rung
    let cents = cents.ok_or_else(|| Fault::permanent(format!("there is no article '{}'", order.article)))?;
    Output::json(&Priced { article: order.article, cents: cents * order.pieces })
}

/// In place of a price server, which is down now and then.
async fn look_up(article: &str, attempt: u32) -> std::io::Result<Option<u64>> {
    match article {
        "tea" => Ok(Some(250)),
        "coffee" if attempt == 1 => Err(std::io::Error::other("the price server does not answer")),
        "coffee" => Ok(Some(320)),
        _ => Ok(None),
    }
}

pub fn service(bootstrap: &str, pipeline: &str) -> Result<Service, Error> {
    Service::builder(pipeline, "price")
        .bootstrap(bootstrap)
        .input(format!("{pipeline}.in"))
        .output(format!("{pipeline}.priced"))
        .ladder(Ladder::rungs([Duration::from_secs(1), Duration::from_secs(60)]))
        .in_flight(100)
        .stage(price)
        .build()
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let bootstrap = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".into());
    service(&bootstrap, "orders")?.run(tokio::signal::ctrl_c()).await
}
