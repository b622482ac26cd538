//! Clients and topics of the benchmarks themselves.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

pub const PATIENCE: Duration = Duration::from_secs(30);

/// As Lazaret's producer: as durable, packed in the same way, and gathering as much.
pub fn producer(kafka: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("partitioner", "murmur2_random");
    config
}

/// A plain consumer, with librdkafka's own settings for what is fetched ahead.
pub fn consumer(kafka: &str, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed");
    config
}

fn admin(kafka: &str) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", kafka).create()?)
}

/// Makes a topic whose records carry the broker's time if `stamped`, which tells when each was appended.
pub async fn create(kafka: &str, name: &str, partitions: i32, stamped: bool) -> anyhow::Result<()> {
    let kind = if stamped { "LogAppendTime" } else { "CreateTime" };
    let topic =
        NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("message.timestamp.type", kind);
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let made = admin(kafka)?.create_topics([&topic], &options).await?;
    let made = made.into_iter().next().context("an answer")?;
    made.map_err(|(topic, code)| anyhow!("topic {topic} cannot be made: {code}"))?;
    Ok(())
}

/// Deletes all topics whose names begin so. What cannot be deleted stays.
pub async fn delete(kafka: &str, prefix: &str) -> anyhow::Result<()> {
    let admin = admin(kafka)?;
    let known = admin.inner().fetch_metadata(None, PATIENCE)?;
    let names: Vec<&str> =
        known.topics().iter().map(|topic| topic.name()).filter(|name| name.starts_with(prefix)).collect();
    if !names.is_empty() {
        admin.delete_topics(&names, &AdminOptions::new().request_timeout(Some(PATIENCE))).await?;
    }
    Ok(())
}
