//! How far the index of dead letters is behind the topics that it is made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::kafka::pick::Picker;
use crate::kafka::tail::bounds;
use crate::message::TopicPartition;
use crate::ops::quarantine::{FollowError, Sources};
use crate::quarantine::Quarantine;

/// Partitions in which no record was between these two offsets. Behind the last record there may be marks of transactions, which are
/// no records: once it is known, it need not be looked at again.
#[derive(Debug, Default)]
pub struct Unread(BTreeMap<TopicPartition, (i64, i64)>);

impl Unread {
    /// Records that the index has not taken in. Marks of transactions between them count.
    pub async fn count(
        &mut self,
        config: &Config,
        index: &Arc<dyn Quarantine>,
        picker: &mut Picker,
    ) -> Result<u64, FollowError> {
        let topics = Sources::of(config).names().map(str::to_owned).collect();
        let ends = bounds(&config.kafka, "lag", topics).await?;
        // Asked later than the ends, so that what is taken in meanwhile does not count as left.
        let taken = index.positions().await?;
        let mut unread = 0;
        for (place, (begin, end)) in ends {
            let next = taken.get(&place).map_or(begin, |next| begin.max(*next));
            if next >= end || self.0.get(&place) == Some(&(next, end)) {
                continue;
            }
            match picker.first(&place, next).await? {
                Some(record) => unread += end.saturating_sub(record.at.offset).max(0).unsigned_abs(),
                None => _ = self.0.insert(place, (next, end)),
            }
        }
        Ok(unread)
    }
}
