use proptest::prelude::*;

use super::*;

#[test]
fn the_commit_stops_at_the_first_record_that_has_not_ended() {
    let mut offsets = Offsets::default();
    for offset in 10..14 {
        assert!(offsets.read(offset));
    }
    assert_eq!(offsets.commit(), None);
    offsets.end(11);
    offsets.end(13);
    assert_eq!(offsets.commit(), None);
    offsets.end(10);
    assert_eq!(offsets.commit(), Some(12));
    assert_eq!(offsets.commit(), None);
    offsets.end(12);
    assert_eq!(offsets.commit(), Some(14));
}

#[test]
fn gaps_in_the_log_do_not_hold_the_commit_back() {
    let mut offsets = Offsets::default();
    offsets.read(5);
    offsets.read(9);
    offsets.end(5);
    assert_eq!(offsets.commit(), Some(9));
    offsets.end(9);
    assert_eq!(offsets.commit(), Some(10));
}

#[test]
fn an_open_offset_is_read_once_and_one_that_ended_may_come_again() {
    let mut offsets = Offsets::default();
    assert!(offsets.read(5));
    assert!(!offsets.read(5));
    offsets.end(5);
    assert_eq!(offsets.commit(), Some(6));
    assert!(offsets.read(5), "a log that was cut holds another record there");
    assert_eq!(offsets.commit(), None, "a commit never goes back");
    offsets.end(5);
    assert!(offsets.read(6));
    offsets.end(6);
    assert_eq!(offsets.commit(), Some(7));
}

proptest! {
    /// Invariant 2, no gap: whatever the order of ending, nothing open lies below a committed offset,
    /// commits only grow, and when all has ended everything is committed.
    #[test]
    fn nothing_open_lies_below_a_commit(
        steps in proptest::collection::vec(1i64..4, 1..60),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut offsets = Offsets::default();
        let read: Vec<i64> = steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
        read.iter().for_each(|offset| assert!(offsets.read(*offset)));
        let (mut open, mut last) = (read.clone(), None);
        for index in order {
            if open.is_empty() {
                break;
            }
            offsets.end(open.remove(index.index(open.len())));
            if let Some(commit) = offsets.commit() {
                prop_assert!(open.iter().all(|offset| *offset >= commit));
                prop_assert!(last.is_none_or(|last| commit > last));
                last = Some(commit);
            }
        }
        if open.is_empty() {
            prop_assert_eq!(last, read.last().map(|offset| offset + 1));
        }
    }
}
