use proptest::prelude::*;

use super::*;

mod session;

fn at(offset: i64) -> Option<Position> {
    Some(Position { offset, map: String::new() })
}

fn read(offsets: &mut Offsets, all: impl IntoIterator<Item = i64>) {
    all.into_iter().for_each(|offset| assert_eq!(offsets.read(offset), Read::Fresh, "{offset}"));
}

fn end(offsets: &mut Offsets, all: impl IntoIterator<Item = i64>) {
    all.into_iter().for_each(|offset| offsets.end(offset));
}

/// What another process makes of a position.
fn after_a_crash(position: &Position) -> Offsets {
    Offsets::resume(Some(&committed(position)))
}

fn committed(position: &Position) -> Committed {
    Committed::parse(position.offset, &position.map).unwrap()
}

#[test]
fn the_commit_stops_at_the_first_record_that_has_not_ended() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 10..14);
    assert_eq!(offsets.commit(), None, "where reading begins is not worth a commit");
    end(&mut offsets, [11, 13]);
    let position = offsets.commit().unwrap();
    assert_eq!(position.offset, 10);
    assert_eq!(committed(&position).ranges(), [11..12, 13..14]);
    offsets.end(10);
    assert_eq!(offsets.commit().unwrap().offset, 12);
    assert_eq!(offsets.commit(), None);
    offsets.end(12);
    assert_eq!(offsets.commit(), at(14));
    assert_eq!(offsets.position(), at(14));
}

#[test]
fn gaps_in_the_log_do_not_hold_the_commit_back() {
    let mut offsets = Offsets::default();
    read(&mut offsets, [5, 9]);
    offsets.end(5);
    assert_eq!(offsets.commit(), at(9));
    offsets.end(9);
    assert_eq!(offsets.commit(), at(10));
}

#[test]
fn markers_of_transactions_at_the_end_of_a_log_are_committed_past() {
    let mut offsets = Offsets::default();
    read(&mut offsets, [5]);
    offsets.silent(8);
    assert_eq!(offsets.commit().unwrap().offset, 5);
    offsets.end(5);
    assert_eq!(offsets.commit(), at(8));
    let known = offsets.clone();
    for offset in [7, 8] {
        offsets.silent(offset);
        assert_eq!(offsets, known, "what is known does not become unknown, nor is it news");
    }
    assert_eq!(offsets.commit(), None);
}

#[test]
fn the_span_and_the_size_of_the_map_are_those_of_what_was_handed_out() {
    let mut offsets = Offsets::default();
    assert_eq!((offsets.span(), offsets.map_bytes()), (0, 0));
    read(&mut offsets, 10..20);
    end(&mut offsets, [12, 15]);
    assert_eq!((offsets.span(), offsets.map_bytes()), (10, 0), "nothing is handed out yet");
    let position = offsets.commit().unwrap();
    assert_eq!((offsets.span(), offsets.map_bytes()), (10, position.map.len()));
    end(&mut offsets, 10..20);
    offsets.commit().unwrap();
    assert_eq!((offsets.span(), offsets.map_bytes()), (0, 0));
    read(&mut offsets, [5]);
    assert_eq!(offsets.span(), 0, "the log was cut");
}

#[test]
fn a_partition_in_which_nothing_was_read_has_the_position_it_had() {
    assert_eq!(Offsets::resume(None).position(), None);
    let mut offsets = Offsets::resume(Some(&Committed::bare(7)));
    assert_eq!(offsets.position(), at(7));
    assert_eq!(offsets.commit(), None);
    let mut empty = Offsets::resume(None);
    empty.silent(3);
    assert_eq!(empty.commit(), at(3));
}

#[test]
fn an_open_offset_is_read_once() {
    let mut offsets = Offsets::default();
    read(&mut offsets, [5, 6]);
    assert_eq!(offsets.read(5), Read::Repeated);
    assert_eq!(offsets.open(), 2);
}

#[test]
fn in_a_log_that_was_cut_the_position_goes_back_to_what_is_read_again() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 5..10);
    end(&mut offsets, 5..10);
    assert_eq!(offsets.commit(), at(10));
    read(&mut offsets, [6]);
    assert_eq!(offsets.commit(), at(6), "other records may stand at 7, 8 and 9");
    offsets.end(6);
    assert_eq!(offsets.commit(), at(7));
    read(&mut offsets, [7]);
}

#[test]
fn what_the_map_says_has_ended_is_not_read_again_and_the_rest_is() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 10..18);
    end(&mut offsets, [11, 12, 15, 17]);
    let position = offsets.commit().unwrap();
    let mut offsets = after_a_crash(&position);
    assert_eq!(offsets.position().as_ref(), Some(&position));
    assert_eq!(offsets.commit(), None, "Kafka has it");
    let reads: Vec<Read> = (10..19).map(|offset| offsets.read(offset)).collect();
    let ended = reads.iter().zip(10..).filter(|(read, _)| **read == Read::Ended).map(|(_, offset)| offset);
    assert_eq!(ended.collect::<Vec<i64>>(), [11, 12, 15, 17]);
    assert_eq!(offsets.open(), 5);
    end(&mut offsets, [10, 13, 14, 16, 18]);
    assert_eq!(offsets.commit(), at(19));
}

#[test]
fn what_the_map_expects_and_the_log_no_longer_has_is_dropped() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 10..20);
    end(&mut offsets, [12, 15, 19]);
    let mut offsets = after_a_crash(&offsets.commit().unwrap());
    assert_eq!(offsets.read(16), Read::Fresh);
    assert_eq!(offsets.position().unwrap().offset, 16, "retention took what stood below");
    offsets.end(16);
    assert_eq!(offsets.commit().unwrap().offset, 17);
    read(&mut offsets, [30]);
    assert_eq!(offsets.commit(), at(30));
}

#[test]
fn a_second_crash_before_everything_was_read_again_forgets_nothing() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 10..20);
    end(&mut offsets, [12, 15, 16, 19]);
    let mut offsets = after_a_crash(&offsets.commit().unwrap());
    read(&mut offsets, [10, 11]);
    offsets.end(11);
    let position = offsets.commit().unwrap();
    assert_eq!((position.offset, committed(&position).ranges()), (10, &[11..13, 15..17, 19..20][..]));
    offsets.end(10);
    let position = offsets.commit().unwrap();
    assert_eq!(position.offset, 13, "over what had ended");
    assert_eq!(committed(&position).ranges(), [15..17, 19..20]);
}

#[test]
fn an_ended_offset_comes_once_and_then_it_is_another_record() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 10..13);
    offsets.end(11);
    let mut offsets = after_a_crash(&offsets.commit().unwrap());
    read(&mut offsets, [10]);
    assert_eq!(offsets.read(11), Read::Ended);
    assert_eq!(offsets.read(11), Read::Fresh);
}

#[test]
fn after_an_aborted_transaction_the_position_is_the_one_before_and_the_next_commit_has_all() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 0..4);
    offsets.end(1);
    let first = offsets.commit();
    end(&mut offsets, [0, 2]);
    let second = offsets.commit();
    assert_eq!(second.as_ref().unwrap().offset, 3);
    offsets.unhand();
    assert_eq!(offsets.position(), second);
    offsets.reopen(0);
    offsets.reopen(2);
    assert_eq!(offsets.position(), first);
    assert_eq!(offsets.commit(), None, "that is what Kafka has");
    end(&mut offsets, [0, 2]);
    assert_eq!(offsets.commit(), second);
}

#[test]
fn a_commit_that_failed_is_handed_out_again() {
    let mut offsets = Offsets::default();
    read(&mut offsets, 0..2);
    offsets.end(0);
    assert_eq!(offsets.commit(), at(1));
    assert_eq!(offsets.commit(), None);
    offsets.unhand();
    assert_eq!(offsets.commit(), at(1));
}

#[test]
fn a_window_of_two_hundred_and_fifty_six_always_has_room() {
    let mut offsets = Offsets::default();
    for offset in (0..255).map(|n| n << 40) {
        read(&mut offsets, [offset]);
        assert!(offsets.has_room());
    }
}

#[test]
fn records_next_to_each_other_take_two_bits_each() {
    let mut offsets = Offsets::default();
    let fresh = (0..20_000).take_while(|offset| offsets.has_room() && offsets.read(*offset) == Read::Fresh);
    // One bit for the first, and 4 × 125 + 2 of the 23 944 of a map are for two records with the widest gaps.
    assert_eq!(
        fresh.count(),
        (23_944 - 502 - 1) / 2 + 2,
        "the last one is read because there is room before it"
    );
}

#[test]
fn what_comes_again_in_a_log_that_was_cut_takes_the_room_of_one_record() {
    let mut offsets = Offsets::default();
    read(&mut offsets, [0, 1000, 2000]);
    end(&mut offsets, [0, 1000, 2000]);
    let room = offsets.held_bits;
    read(&mut offsets, [2000]);
    assert_eq!(offsets.held_bits, room, "the record that ended at this offset may come back still");
    read(&mut offsets, [1500]);
    assert_eq!(offsets.held_bits, room - 2 * 9 - 2 + 2 * (2 * 8 + 2), "one gap of 999 became two of 499");
}

#[test]
fn there_is_no_room_before_the_map_is_full_and_there_is_when_records_have_ended() {
    let mut offsets = Offsets::default();
    let mut log = (0..).map(|n| n * 1000);
    while offsets.has_room() {
        read(&mut offsets, [log.next().unwrap()]);
    }
    let open = offsets.open() as i64;
    assert!(open > 1000, "{open}");
    end(&mut offsets, (1..open).step_by(2).map(|n| n * 1000));
    let position = offsets.commit().unwrap();
    assert!(committed(&position).has_ended((open - 1) * 1000 - 1), "the map is whole");
    assert!(!offsets.has_room(), "the transaction can still be aborted");
    assert_eq!(offsets.commit(), None);
    assert!(offsets.has_room(), "it was committed, although the first record is still open");
}

#[test]
fn where_nothing_is_undone_what_has_ended_takes_no_room_once_it_is_handed_out() {
    let mut offsets = Offsets::default();
    let full = (0..).take_while(|offset| {
        let room = offsets.has_room();
        read(&mut offsets, [*offset]);
        room
    });
    let all = full.count() as i64;
    assert!(!offsets.wants_a_commit(), "a commit gives no room while nothing has ended");
    end(&mut offsets, 1..all);
    assert!(offsets.wants_a_commit());
    assert!(offsets.commit_for_good().is_some());
    assert!(offsets.has_room() && !offsets.wants_a_commit());
}

#[test]
fn where_nothing_is_open_there_is_room_however_full_the_map_is() {
    let ended: Vec<Range<i64>> = (0..1180).map(|n| n * 1000 + 1..n * 1000 + 1000).collect();
    let map = map::write(0, &ended);
    assert!(map.len() > 3800, "{}", map.len());
    let mut offsets = after_a_crash(&Position { offset: 0, map });
    assert!(offsets.has_room());
    read(&mut offsets, [0]);
    assert!(!offsets.has_room());
    offsets.end(0);
    assert!(offsets.has_room());
    assert_eq!(offsets.position().unwrap().offset, 1000);
    let gaps_passed = (1..100).find(|gap| {
        // Twice: what has ended is committed, and takes no room any more.
        offsets.commit();
        offsets.commit();
        read(&mut offsets, [gap * 1000]);
        let room = offsets.has_room();
        offsets.end(gap * 1000);
        room
    });
    assert_eq!(gaps_passed, Some(8), "1180 gaps of 20 bits each are too many, 1172 are not");
}

#[test]
fn offsets_at_the_ends_of_what_a_number_holds_do_no_harm() {
    let mut offsets = Offsets::default();
    read(&mut offsets, [i64::MIN, 0, i64::MAX - 1, i64::MAX]);
    end(&mut offsets, [0, i64::MAX]);
    offsets.silent(i64::MAX);
    assert_eq!(offsets.position().unwrap().offset, i64::MIN);
    end(&mut offsets, [i64::MIN, i64::MAX - 1]);
    assert_eq!(offsets.position(), at(i64::MAX));
}

proptest! {
    /// Invariant 2, no gap: whatever the order of ending, nothing open lies below a committed offset or is in its
    /// map, and when all has ended everything is committed.
    #[test]
    fn nothing_open_lies_below_a_commit(
        steps in proptest::collection::vec(1i64..4, 1..60),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut offsets = Offsets::default();
        let log: Vec<i64> = steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
        read(&mut offsets, log.iter().copied());
        let (mut open, mut last) = (log.clone(), 0);
        for index in order {
            if open.is_empty() {
                break;
            }
            offsets.end(open.remove(index.index(open.len())));
            let position = offsets.commit().unwrap();
            let committed = committed(&position);
            prop_assert!(open.iter().all(|offset| !committed.has_ended(*offset)));
            prop_assert!(log.iter().all(|offset| committed.has_ended(*offset) != open.contains(offset)));
            prop_assert!(position.offset >= last);
            last = position.offset;
        }
        if open.is_empty() {
            prop_assert_eq!(Some(last), log.last().map(|offset| offset + 1));
        }
    }
}

#[test]
fn what_is_open_again_after_an_aborted_transaction_has_kept_its_room() {
    let mut offsets = Offsets::default();
    let mut log = (0..).map(|n| n * 1000);
    while offsets.has_room() {
        read(&mut offsets, [log.next().unwrap()]);
    }
    let first = offsets.open() as i64;
    end(&mut offsets, (0..first).map(|n| n * 1000));
    assert_eq!(offsets.commit().unwrap().map, "");
    for _ in 0..first {
        if offsets.has_room() {
            read(&mut offsets, [log.next().unwrap()]);
        }
    }
    offsets.unhand();
    (0..first).for_each(|n| offsets.reopen(n * 1000));
    let all = offsets.open() as i64;
    end(&mut offsets, (1..all).step_by(2).map(|n| n * 1000));
    let committed = committed(&offsets.commit().unwrap());
    assert!((1..all).step_by(2).all(|n| committed.has_ended(n * 1000)), "the map is whole");
}
