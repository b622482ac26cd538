//! The offset map as text: which offsets beyond the committed one have ended. Pure.
//!
//! ```text
//! 1              the version of what follows, in base 64:
//! checksum       4 bytes, of version, committed offset and runs: a map belongs to its offset
//! runs           not ended, ended, not ended, … ended, beginning at the committed offset; Elias gamma codes
//! ```
//!
//! One code serves both kinds of pattern: a lone open record among thousands that ended takes three bytes, and
//! offsets that end in any order next to each other take little more than one bit each.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::METADATA_MAX;
use super::gamma::{self, Reader, Writer};

const VERSION: char = '1';
const CHECKSUM: usize = 4;

/// Longest text that is written; a little below the broker's limit.
const TEXT_MAX: usize = 4000;

/// What the runs of a map may take.
pub(super) const BITS_MAX: usize = ((TEXT_MAX - 1) / 4 * 3 - CHECKSUM) * 8;

/// Offsets that a map may leave open. No window is that wide; a text that says so was not written by Lazaret.
const OPEN_MAX: u64 = 65_536;

/// A committed position, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    below: i64,
    /// Disjoint, apart from each other, ascending, beyond `below`.
    ended: Vec<Range<i64>>,
}

/// Committed metadata that is no offset map. Whoever finds it goes on without: records beyond the committed offset
/// are read again, and the ledger knows what was done with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapProblem {
    #[error("the committed offset {0} is negative; no offset map belongs to it")]
    Negative(i64),
    #[error("the committed metadata has {0} bytes, more than the {METADATA_MAX} an offset map may have")]
    TooLong(usize),
    #[error(
        "the committed metadata begins with {0:?}, not with the version {VERSION:?} of the offset map; another program or another version of Lazaret wrote it"
    )]
    Version(char),
    #[error("the offset map in the committed metadata is damaged or belongs to another offset")]
    Damaged,
    #[error("the offset map in the committed metadata cannot be true: {0}")]
    Absurd(&'static str),
}

impl Committed {
    /// A committed offset without a map.
    pub fn bare(offset: i64) -> Self {
        Self { below: offset, ended: Vec::new() }
    }

    /// Reads what Kafka has: the committed offset and its metadata.
    pub fn parse(offset: i64, metadata: &str) -> Result<Self, MapProblem> {
        if offset < 0 {
            return Err(MapProblem::Negative(offset));
        }
        if metadata.len() > METADATA_MAX {
            return Err(MapProblem::TooLong(metadata.len()));
        }
        let mut text = metadata.chars();
        match text.next() {
            None => return Ok(Self::bare(offset)),
            Some(VERSION) => {}
            Some(other) => return Err(MapProblem::Version(other)),
        }
        let bytes = STANDARD_NO_PAD.decode(text.as_str()).map_err(|_| MapProblem::Damaged)?;
        let (sum, runs) = bytes.split_at_checked(CHECKSUM).ok_or(MapProblem::Damaged)?;
        if sum != checksum(offset, runs) {
            return Err(MapProblem::Damaged);
        }
        Self::of_runs(offset, runs)
    }

    /// Reads the runs behind the checksum.
    pub(crate) fn of_runs(offset: i64, runs: &[u8]) -> Result<Self, MapProblem> {
        Ok(Self { below: offset, ended: expand(offset, runs)? })
    }

    /// Everything below this offset has ended.
    pub fn below(&self) -> i64 {
        self.below
    }

    /// What has ended beyond that: disjoint, ascending.
    pub fn ranges(&self) -> &[Range<i64>] {
        &self.ended
    }

    /// Whether the record at this offset has ended.
    pub fn has_ended(&self, offset: i64) -> bool {
        let next = self.ended.partition_point(|range| range.end <= offset);
        offset < self.below || self.ended.get(next).is_some_and(|range| range.contains(&offset))
    }
}

/// The runs as ranges of what has ended.
fn expand(offset: i64, runs: &[u8]) -> Result<Vec<Range<i64>>, MapProblem> {
    let mut runs = Reader::new(runs);
    let mut next = || runs.next().map_err(|_| MapProblem::Absurd("its runs cannot be read"));
    let (mut ended, mut at, mut left_open) = (Vec::new(), offset, 0u64);
    let forward = |at: i64, run: u64| {
        at.checked_add_unsigned(run)
            .ok_or(MapProblem::Absurd("it goes beyond the highest offset there can be"))
    };
    while let Some(open) = next()? {
        let start = forward(at, open)?;
        left_open = left_open.saturating_add(open);
        if left_open > OPEN_MAX {
            return Err(MapProblem::Absurd("it leaves more records open than any window holds"));
        }
        let run = next()?.ok_or(MapProblem::Absurd("it ends with what has not ended"))?;
        at = forward(start, run)?;
        ended.push(start..at);
    }
    if ended.is_empty() {
        return Err(MapProblem::Absurd("it is empty"));
    }
    Ok(ended)
}

/// The map for these ranges, which are disjoint, apart, ascending and beyond the offset. What does not fit is left
/// out: a record that ended and is not in the map is read again.
pub(super) fn write<'a>(offset: i64, ended: impl IntoIterator<Item = &'a Range<i64>>) -> String {
    let (mut runs, mut at, mut left_open) = (Writer::default(), offset, 0u64);
    for range in ended {
        let (open, run) = (range.start.abs_diff(at), range.end.abs_diff(range.start));
        left_open = left_open.saturating_add(open);
        if left_open > OPEN_MAX || runs.bits() + gamma::bits(open) + gamma::bits(run) > BITS_MAX {
            break;
        }
        runs.push(open);
        runs.push(run);
        at = range.end;
    }
    if runs.bits() == 0 {
        return String::new();
    }
    let runs = runs.into_bytes();
    let mut text = String::from(VERSION);
    STANDARD_NO_PAD.encode_string([&checksum(offset, &runs)[..], &runs].concat(), &mut text);
    text
}

/// What the map for these ranges takes.
pub(super) fn bits(offset: i64, ended: &[Range<i64>]) -> usize {
    let starts = std::iter::once(offset).chain(ended.iter().map(|range| range.end));
    let pairs = starts.zip(ended);
    pairs
        .map(|(at, range)| {
            gamma::bits(range.start.abs_diff(at)) + gamma::bits(range.end.abs_diff(range.start))
        })
        .sum()
}

/// What a held record takes at most in any map: itself, and the gap between it and the held record before it. With
/// every record that ends two gaps become one, which never takes more.
pub(super) fn bits_behind(before: i64, offset: i64) -> usize {
    1 + gamma::bits(offset.abs_diff(before).saturating_sub(1))
}

fn checksum(offset: i64, runs: &[u8]) -> [u8; CHECKSUM] {
    let mut hash = blake3::Hasher::new();
    hash.update(&[VERSION as u8]).update(&offset.to_be_bytes()).update(runs);
    let mut sum = [0; CHECKSUM];
    hash.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests;
