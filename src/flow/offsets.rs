//! Which offset of a partition may be committed: the first one that is not finished. Pure.

use std::collections::BTreeSet;

/// The records of one partition that were read and have not all ended, in any order of ending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// Read and not ended.
    open: BTreeSet<i64>,
    /// One past the highest offset read.
    next: Option<i64>,
    /// What Kafka has: where reading began, then what was last handed out for committing.
    committed: Option<i64>,
}

impl Offsets {
    /// A record was read. Gaps between offsets (compaction, transaction markers) are nobody's work.
    /// False when the offset is open: the record is a repetition and must not be worked on twice. One that ended
    /// and comes again is read again, because a log that was cut holds another record there; the ledger knows
    /// what was done.
    pub fn read(&mut self, offset: i64) -> bool {
        if self.open.contains(&offset) {
            return false;
        }
        // Where reading began is what Kafka has as the committed offset.
        self.committed.get_or_insert(offset);
        self.open.insert(offset);
        self.next = self.next.max(Some(offset + 1));
        true
    }

    /// A record reached a durable end.
    pub fn end(&mut self, offset: i64) {
        self.open.remove(&offset);
    }

    /// Records read and not ended.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The offset to commit now: everything below it has ended. `None` when that is committed already.
    pub fn commit(&mut self) -> Option<i64> {
        let frontier = self.open.first().copied().or(self.next)?;
        if self.committed.is_some_and(|committed| committed >= frontier) {
            return None;
        }
        self.committed = Some(frontier);
        Some(frontier)
    }
}

#[cfg(test)]
mod tests;
