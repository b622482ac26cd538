//! Where reading begins: what the group has committed, with the text that was committed along with it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::group::{Group, QUESTION};
use crate::message::TopicPartition;

/// Stands for commit metadata that is not text. No metadata of ours reads like this.
pub const DAMAGED: &str = "?";

/// What the group has committed for a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// `None` begins at the first record there is.
    pub committed: Option<i64>,
    /// What was committed along with it; [`DAMAGED`] when it is not text.
    pub metadata: String,
}

/// Asks again what the group has committed. Does not keep the consumer.
#[derive(Clone)]
pub struct Starts(pub(super) Weak<BaseConsumer<Group>>);

impl Starts {
    /// An error as long as it is not certain, or when the consumer has gone.
    pub async fn fetch(&self, names: Vec<TopicPartition>) -> Result<BTreeMap<TopicPartition, Start>, String> {
        let client = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let client = client.upgrade().ok_or("the consumer is closed")?;
            fetch(&client, names.iter(), QUESTION)
        });
        asked.await.unwrap_or_else(|e| Err(e.to_string()))
    }
}

/// Asks the group's coordinator. An error as long as a transaction that has offsets of these partitions is open or
/// being ended: what it will have committed is not known before.
pub fn fetch<'a>(
    client: &BaseConsumer<Group>,
    names: impl Iterator<Item = &'a TopicPartition>,
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, Start>, String> {
    let mut list = TopicPartitionList::new();
    for name in names {
        list.add_partition(&name.topic, name.partition);
    }
    if list.count() == 0 {
        return Ok(BTreeMap::new());
    }
    let list = client.committed_offsets(list, timeout).map_err(|e| e.to_string())?;
    let start = |element: &TopicPartitionListElem<'_>| {
        let name = TopicPartition::new(element.topic(), element.partition());
        element.error().map_err(|e| format!("{name}: {e}"))?;
        let committed = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        Ok((name, Start { committed, metadata: metadata(element) }))
    };
    list.elements().iter().map(start).collect()
}

/// rdkafka 0.39 panics on metadata that is not UTF-8. Anybody who may commit for the group could stop the process with
/// it, so the panic ends here.
fn metadata(element: &TopicPartitionListElem<'_>) -> String {
    let read = || element.metadata().to_owned();
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| DAMAGED.to_owned())
}
