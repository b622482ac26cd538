//! The consumer as a transaction sees it: as whom the group knows it, and which offsets it may commit.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::Commit;
use super::group::Group;
use super::shared::Shared;

/// A consumer as a transaction sees it.
pub struct Member {
    client: Arc<BaseConsumer<Group>>,
    shared: Arc<Shared>,
}

impl Member {
    pub(super) fn new(client: Arc<BaseConsumer<Group>>, shared: Arc<Shared>) -> Self {
        Self { client, shared }
    }

    /// As whom the group knows us now, to commit these offsets. `Err` says why we may not.
    ///
    /// A member that fell out of the group is, until it has joined again, known to librdkafka by no name at all, and
    /// Kafka takes offsets that come under no name without asking. So we ask ourselves. First the name, then whether
    /// the partitions are ours: they cease to be before they can belong to somebody else.
    ///
    /// The consumer itself is let go of: who commits as this member may wait for longer than the consumer is to live,
    /// and a consumer that nobody polls and nobody closes holds up its whole group.
    pub fn identify(self, offsets: &[Commit]) -> Result<(ConsumerGroupMetadata, Noted), String> {
        let identity = self.client.group_metadata().ok_or("the consumer is in no group")?;
        if self.client.assignment_lost() {
            return Err("the consumer fell out of its group".into());
        }
        match self.shared.not_ours(offsets.iter().map(|commit| &commit.name)) {
            Some(name) => Err(format!("partition {name} is not ours any more")),
            None => Ok((identity, Noted(self.shared))),
        }
    }
}

/// Tells the consumer what Kafka has as committed.
pub struct Noted(Arc<Shared>);

impl Noted {
    pub fn commit(&self, offsets: &TopicPartitionList) {
        self.0.note_commit(offsets);
    }
}

/// Offsets as librdkafka takes them.
pub fn positions(offsets: &[Commit]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for Commit { name, offset, metadata } in offsets {
        let mut element = list.add_partition(&name.topic, name.partition);
        element.set_offset(Offset::Offset(*offset))?;
        if !metadata.is_empty() {
            element.set_metadata(metadata);
        }
    }
    Ok(list)
}
