//! What of a partition may be committed: everything below the first offset that has not ended, and beyond it the
//! map of those that have. Pure.
//!
//! ```text
//! offsets   100 101 102 103 104 105 106 107 108 …
//!           ended   open    ended   open    not read yet
//!               └ committed: everything below 102 …… └ cursor: everything below 108 was read or is no record
//!                           └─ map ─┘
//! ```
//!
//! Behind the cursor every offset that is not open has ended: it was worked on, or there is no record in it
//! (compaction, markers of transactions). Ahead of the cursor have ended what the resumed map says, and no other.

mod gamma;
mod map;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

pub use map::{Committed, MapProblem};

/// What a broker takes for metadata of a committed offset unless it is told otherwise
/// (`offset.metadata.max.bytes`). A map stays below it.
pub const METADATA_MAX: usize = 4096;

/// What one more record can add to the map, in bits: itself, a gap of any width in front of it, and another behind.
const RECORD_BITS: usize = 1 + 2 * gamma::BITS_MAX;

/// What the map may need when one more record is read. The rest is for the record for which there is always room.
const ROOM_BITS: usize = map::BITS_MAX - 2 * RECORD_BITS;

/// What is committed for a partition: everything below `offset` has ended, and beyond it what `map` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub offset: i64,
    /// Text for the metadata of the commit; empty when nothing beyond the offset has ended.
    pub map: String,
}

/// What to do with a record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Work on it.
    Fresh,
    /// It is being worked on: a repetition.
    Repeated,
    /// It ended before this assignment; the committed map says so.
    Ended,
}

/// The records of one partition that were read and have not all ended, in any order of ending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// Read and not ended.
    open: BTreeSet<i64>,
    /// Open, or ended so recently that the transaction may still be aborted: what can be open again.
    held: BTreeSet<i64>,
    /// Ended since a position was handed out.
    ended: Vec<i64>,
    /// Bits that the map needs at most, whichever of the held ones end.
    held_bits: usize,
    /// Everything below it was read or is no record.
    cursor: Option<i64>,
    /// What has ended at or ahead of the cursor, from the map that was committed.
    ahead: VecDeque<Range<i64>>,
    /// Bits that the map needs at most for what is ahead.
    ahead_bits: usize,
    /// Handed out last, or what Kafka had at the beginning; and what was handed out before.
    handed: Option<Position>,
    before: Option<Position>,
    /// Whether anything has happened since a position was asked for.
    changed: bool,
}

impl Offsets {
    /// Goes on where a partition was committed. `None`: nothing is committed yet, and the base is the first offset
    /// that is read.
    pub fn resume(committed: Option<&Committed>) -> Self {
        let Some(committed) = committed else { return Self::default() };
        let mut offsets = Self {
            cursor: Some(committed.below()),
            ahead: committed.ranges().iter().cloned().collect(),
            ahead_bits: map::bits(committed.below(), committed.ranges()),
            ..Self::default()
        };
        offsets.handed = offsets.position();
        offsets
    }

    /// A record was read. Records come in ascending order; what lies between two has no record.
    ///
    /// An offset that ended in this assignment and comes again is read again, and the position goes back to it: a
    /// log that was cut holds another record there, and others behind it. Where it is the same record the ledger
    /// knows what was done.
    pub fn read(&mut self, offset: i64) -> Read {
        let cursor = *self.cursor.get_or_insert_with(|| {
            // Where reading begins is not worth a commit.
            self.handed = Some(Position { offset, map: String::new() });
            offset
        });
        if offset < cursor {
            self.ahead.clear();
        }
        self.pass(offset);
        let ended = self.ahead.front().is_some_and(|range| range.contains(&offset));
        self.pass(offset.saturating_add(1));
        if ended {
            return Read::Ended;
        }
        if !self.open.insert(offset) {
            return Read::Repeated;
        }
        self.hold(offset);
        Read::Fresh
    }

    /// Everything below this offset was read or is no record: the cursor moves, and what is ahead gets behind it.
    fn pass(&mut self, cursor: i64) {
        self.cursor = Some(cursor);
        self.changed = true;
        while let Some(range) = self.ahead.front().filter(|range| range.end <= cursor) {
            self.ahead_bits -= 1 + gamma::bits(range.end.abs_diff(range.start));
            self.ahead.pop_front();
        }
        if self.ahead.is_empty() {
            self.ahead_bits = 0;
        }
    }

    /// Counts what the map may need for one more record that is held.
    fn hold(&mut self, offset: i64) {
        let last = self.held.last().copied();
        self.held.insert(offset);
        match last.filter(|last| *last < offset) {
            Some(last) => self.held_bits += map::bits_behind(last, offset),
            None => self.held_bits = self.count_held_bits(),
        }
    }

    fn count_held_bits(&self) -> usize {
        let pairs = self.held.iter().zip(self.held.iter().skip(1));
        1 + pairs.map(|(one, next)| map::bits_behind(*one, *next)).sum::<usize>()
    }

    /// A record reached a durable end.
    pub fn end(&mut self, offset: i64) {
        if self.open.remove(&offset) {
            self.ended.push(offset);
            self.changed = true;
        }
    }

    /// The transaction in which a record ended was aborted. It is held still.
    pub fn reopen(&mut self, offset: i64) {
        self.open.insert(offset);
        self.changed = true;
    }

    /// Everything below this offset was read or is no record, as with markers of transactions at the end of a log.
    pub fn silent(&mut self, upto: i64) {
        if self.cursor.is_none_or(|cursor| cursor < upto) {
            self.pass(upto);
        }
    }

    /// Bytes of the map that was handed out last.
    pub fn map_bytes(&self) -> usize {
        self.handed.as_ref().map_or(0, |position| position.map.len())
    }

    /// Offsets between the position that was handed out last and the highest one read.
    pub fn span(&self) -> i64 {
        let handed = self.handed.as_ref().map(|position| position.offset);
        self.cursor.zip(handed).map_or(0, |(cursor, handed)| (cursor - handed).max(0))
    }

    /// Records read and not ended.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether one more record may be read: whatever ends in whatever order then, or is open again because its
    /// transaction was aborted, the map holds it all. What ended counts until [`commit`](Self::commit) has handed it
    /// out and is asked once more, whether there is something new or not.
    ///
    /// Where nothing is open there is always room, so that reading goes on: one open record needs no map.
    pub fn has_room(&self) -> bool {
        self.open.is_empty() || self.held_bits + self.ahead_bits <= ROOM_BITS
    }

    /// What to commit now; `None` when it is what was handed out last. Whoever asks again says that what was handed
    /// out before is committed, unless [`unhand`](Self::unhand) said otherwise.
    pub fn commit(&mut self) -> Option<Position> {
        // What has ended since the last time may still be open again; what had ended before may not.
        self.held = self.open.clone();
        self.held.extend(self.ended.drain(..));
        self.hand_out()
    }

    /// The same where nothing that ended is ever open again: it takes no room from here on.
    pub fn commit_for_good(&mut self) -> Option<Position> {
        self.ended.clear();
        self.held = self.open.clone();
        self.hand_out()
    }

    fn hand_out(&mut self) -> Option<Position> {
        self.held_bits = self.count_held_bits();
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let position = self.position().filter(|position| self.handed.as_ref() != Some(position))?;
        self.before = self.handed.replace(position.clone());
        Some(position)
    }

    /// Whether there is no room, and much of it belongs to what has ended since the last commit.
    pub fn wants_a_commit(&self) -> bool {
        !self.has_room() && self.ended.len() * 2 >= self.held.len()
    }

    /// What was handed out last did not get committed: the next [`commit`](Self::commit) hands it out again.
    pub fn unhand(&mut self) {
        self.handed = self.before.clone();
        self.changed = true;
    }

    /// The position as of now, whether handed out or not; `None` when nothing was committed or read yet.
    pub fn position(&self) -> Option<Position> {
        let cursor = self.cursor?;
        // What was committed as ended and begins at the cursor is behind it already.
        let ahead = self.ahead.front().filter(|range| range.start <= cursor);
        let next = ahead.map_or(cursor, |range| range.end);
        let offset = self.open.first().map_or(next, |open| next.min(*open));
        let ended = self.ended(cursor);
        let map = map::write(offset, ended.iter().filter(|range| range.end > offset));
        Some(Position { offset, map })
    }

    /// What has ended from the first open record on: disjoint, apart, ascending.
    fn ended(&self, cursor: i64) -> Vec<Range<i64>> {
        let behind = || self.open.range(..cursor).copied();
        let starts = behind().map(|open| open + 1);
        let mut ended: Vec<_> =
            starts.zip(behind().skip(1).chain([cursor])).map(|(from, to)| from..to).collect();
        ended.retain(|range| !range.is_empty());
        for range in &self.ahead {
            match ended.last_mut().filter(|last| range.start <= last.end) {
                Some(last) => last.end = range.end,
                None => ended.push(range.clone()),
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests;
