//! What a broker keeps for us in the metadata of commits, and how long servers ask us to wait.

use jiff::Timestamp;

use super::bytes::Bytes;
use crate::flow::offsets::{Committed, Offsets, Read};
use crate::flow::retry_after as wait;

/// A committed offset with metadata, and a map behind a checksum that is right.
pub fn offset_map(input: &[u8]) {
    let mut bytes = Bytes(input);
    let offset = bytes.number();
    if let Ok(committed) = Committed::parse(offset, &String::from_utf8_lossy(bytes.0)) {
        go_on_with(&committed);
    }
    if let Ok(committed) = Committed::of_runs(offset.max(0), bytes.0) {
        go_on_with(&committed);
    }
}

/// Reads up to a bound what another process left: what has ended is skipped, the rest is read and lost by none.
fn go_on_with(committed: &Committed) {
    let ranges = committed.ranges();
    assert!(ranges.iter().all(|range| committed.below() < range.start && range.start < range.end));
    assert!(ranges.windows(2).all(|pair| matches!(pair, [one, next] if one.end < next.start)));
    let mut offsets = Offsets::resume(Some(committed));
    let before = offsets.position();
    assert!(before.as_ref().is_some_and(|position| position.offset == committed.below()));
    let edges = ranges.iter().flat_map(|range| [range.start - 1, range.start, range.end - 1]);
    let mut last = None;
    for offset in edges.take(60).filter(|offset| last.replace(*offset) < Some(*offset)) {
        let expected = if committed.has_ended(offset) { Read::Ended } else { Read::Fresh };
        assert_eq!(offsets.read(offset), expected, "at {offset}");
        let Some(position) = offsets.position() else { continue };
        let again = Committed::parse(position.offset, &position.map);
        assert!(again.is_ok_and(|again| again.has_ended(offset) == (expected == Read::Ended)));
    }
}

/// The headers, the present, and what Google says in the body.
pub fn retry_after(input: &[u8]) {
    let mut bytes = Bytes(input);
    let now = Timestamp::from_millisecond(bytes.number()).unwrap_or(Timestamp::UNIX_EPOCH);
    let text = String::from_utf8_lossy(bytes.0);
    for name in ["retry-after", "retry-after-ms"] {
        let found = wait::from_headers(|asked| (asked == name).then_some(&*text), now);
        assert!(found.is_none_or(|found| found <= wait::RETRY_AFTER_MAX));
    }
    assert!(wait::from_retry_info(&text).is_none_or(|found| found <= wait::RETRY_AFTER_MAX));
}
