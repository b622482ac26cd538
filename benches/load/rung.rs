//! What stands on a rung: when each record is due. Headers: docs/headers.md.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::Headers as _;

use super::seen;

/// Microseconds since 1970, by partition and offset on the input.
pub async fn due_times(kafka: &str, topic: &str) -> anyhow::Result<HashMap<(i32, i64), i64>> {
    let (kafka, topic) = (kafka.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut due = HashMap::new();
        seen::each(&kafka, &topic, Duration::from_secs(30), |record| {
            let header = |name: &str| -> anyhow::Result<String> {
                let headers = record.headers().context("headers")?;
                let last = headers.iter().filter(|header| header.key == name).last();
                let value = last.and_then(|header| header.value).with_context(|| format!("no {name}"))?;
                Ok(String::from_utf8(value.to_vec())?)
            };
            let at: Timestamp = header("lazaret.due.at")?.parse()?;
            let origin =
                (header("lazaret.origin.partition")?.parse()?, header("lazaret.origin.offset")?.parse()?);
            if due.insert(origin, at.as_microsecond()).is_some() {
                bail!("a record was put on the rung twice");
            }
            Ok(())
        })?;
        Ok(due)
    })
    .await?
}
