//! One assigned partition: where its reading began, and its records in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;

use super::group::Group;
use super::shared::Shared;
use super::start::Start;
use crate::kafka::convert;
use crate::message::{Record, TopicPartition};

/// A partition of ours, until it is revoked or lost.
pub struct Partition {
    pub name: TopicPartition,
    /// The partition of the input that it follows; itself for one of the input.
    pub input: TopicPartition,
    /// What the group had committed when it was assigned, which is where reading begins.
    pub start: Start,
    queue: PartitionQueue<Group>,
    filled: Arc<AtomicBool>,
}

impl Partition {
    /// Splits the partition's queue off. To be done before the assignment takes effect, so that no record ends up in
    /// the common queue.
    pub(super) fn open(
        client: &Arc<BaseConsumer<Group>>,
        shared: &Arc<Shared>,
        name: &TopicPartition,
        input: &TopicPartition,
        start: Start,
    ) -> Option<Self> {
        let mut queue = client.split_partition_queue(&name.topic, name.partition)?;
        let filled = Arc::new(AtomicBool::new(true));
        let (flag, shared) = (filled.clone(), shared.clone());
        queue.set_nonempty_callback(move || {
            flag.store(true, Ordering::Release);
            shared.news.notify_one();
        });
        Some(Self { name: name.clone(), input: input.clone(), start, queue, filled })
    }

    /// Whether a poll may bring something.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// The next record if one has been fetched. Never waits.
    pub fn poll(&self) -> Option<Record> {
        if !self.filled.swap(false, Ordering::AcqRel) {
            return None;
        }
        let polled = self.queue.poll(Duration::ZERO)?;
        // There may be more: the queue tells only when it stops being empty.
        self.filled.store(true, Ordering::Release);
        match polled {
            Ok(message) => Some(convert::record(&message, self.name.topic.clone())),
            Err(error) => {
                tracing::warn!(partition = %self.name, "cannot read the partition for now: {error}");
                None
            }
        }
    }
}
