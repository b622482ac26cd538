use proptest::prelude::*;

use super::*;

/// A map of one range.
fn write_one(offset: i64, ended: Range<i64>) -> String {
    write(offset, [&ended])
}

/// Ranges from the widths of what is open and what has ended, in turns.
fn ranges(offset: i64, widths: &[(i64, i64)]) -> Vec<Range<i64>> {
    let mut at = offset;
    let mut range = |(open, ended): &(i64, i64)| {
        let start = at + open;
        at = start + ended;
        start..at
    };
    widths.iter().map(&mut range).collect()
}

fn widths(len: usize) -> impl Strategy<Value = Vec<(i64, i64)>> {
    let ended = prop_oneof![1i64..4, 1i64..200, 1i64..5_000_000];
    proptest::collection::vec((prop_oneof![Just(1i64), 1i64..20], ended), 1..len)
}

/// A map whose checksum is right, whatever its runs say.
fn forge(offset: i64, runs: &[u8]) -> String {
    format!("1{}", STANDARD_NO_PAD.encode([&checksum(offset, runs)[..], runs].concat()))
}

fn runs(numbers: &[u64]) -> Vec<u8> {
    let mut writer = Writer::default();
    numbers.iter().for_each(|number| writer.push(*number));
    writer.into_bytes()
}

fn reason(problem: Result<Committed, MapProblem>) -> String {
    problem.unwrap_err().to_string()
}

#[test]
fn one_open_record_among_thousands_that_ended_takes_a_dozen_characters() {
    let text = write_one(7_000_000, 7_000_001..7_005_000);
    assert_eq!(text.len(), 12, "{text}");
    assert!(text.is_ascii());
}

#[test]
fn a_map_says_of_every_offset_whether_it_has_ended() {
    let text = write(100, &[102..105, 106..107]);
    let committed = Committed::parse(100, &text).unwrap();
    let ended: Vec<i64> = (98..110).filter(|offset| committed.has_ended(*offset)).collect();
    assert_eq!(ended, [98, 99, 102, 103, 104, 106]);
    assert_eq!(committed.below(), 100);
}

#[test]
fn an_offset_without_metadata_has_no_map() {
    assert_eq!(write(5, &[]), "");
    assert_eq!(Committed::parse(5, "").unwrap(), Committed::bare(5));
}

#[test]
fn what_does_not_fit_is_left_out_at_the_end() {
    let ended: Vec<_> = (0..20_000).map(|n| n * 1000 + 1..n * 1000 + 998).collect();
    let text = write(0, &ended);
    assert!(text.len() <= TEXT_MAX && text.len() > TEXT_MAX - 8, "{}", text.len());
    let committed = Committed::parse(0, &text).unwrap();
    assert!(ended.starts_with(committed.ranges()));
}

#[test]
fn a_map_is_filled_to_the_last_bit_and_its_text_stays_below_the_limit() {
    let every_second: Vec<_> = (0..20_000).map(|n| 2 * n + 1..2 * n + 2).collect();
    let text = write(0, &every_second);
    let committed = Committed::parse(0, &text).unwrap();
    assert_eq!((committed.ranges().len(), text.len()), (11_972, 3_997), "two bits for each");
}

#[test]
fn more_open_records_than_are_believed_are_not_written() {
    assert_eq!(write_one(0, 65_537..65_540), "");
    let text = write(0, &[1..2, 65_537..65_538, 65_539..65_540]);
    assert_eq!(Committed::parse(0, &text).unwrap().ranges(), [1..2, 65_537..65_538]);
}

#[test]
fn a_map_at_another_offset_is_refused() {
    let text = write_one(100, 102..105);
    assert_eq!(Committed::parse(101, &text), Err(MapProblem::Damaged));
}

#[test]
fn metadata_of_others_is_refused_and_the_reason_names_it() {
    assert_eq!(Committed::parse(5, "NO_METADATA"), Err(MapProblem::Version('N')));
    assert!(reason(Committed::parse(5, "2AAAA")).contains("begins with '2', not with the version '1'"));
    assert_eq!(Committed::parse(5, "1"), Err(MapProblem::Damaged));
    assert_eq!(Committed::parse(-1001, ""), Err(MapProblem::Negative(-1001)));
    assert_eq!(Committed::parse(5, &"1".repeat(4096)), Err(MapProblem::Damaged), "as long as it may be");
    assert_eq!(Committed::parse(5, &"1".repeat(4097)), Err(MapProblem::TooLong(4097)));
    assert_eq!(Committed::parse(5, &"1".repeat(5_000_000)), Err(MapProblem::TooLong(5_000_000)));
}

#[test]
fn what_no_program_of_ours_writes_is_refused_although_the_checksum_is_right() {
    let absurd = |offset, bytes: &[u8]| reason(Committed::parse(offset, &forge(offset, bytes)));
    assert!(absurd(5, &[]).contains("it is empty"));
    assert!(absurd(5, &runs(&[3])).contains("ends with what has not ended"));
    assert!(absurd(5, &runs(&[1, 2, 3])).contains("ends with what has not ended"));
    assert!(absurd(5, &[0; 100]).contains("cannot be read"));
    assert!(absurd(5, &[&runs(&[1, 2])[..], &[0]].concat()).contains("cannot be read"));
    assert!(absurd(5, &runs(&[65_537, 1])).contains("more records open than any window"));
    assert!(absurd(5, &runs(&[40_000, 1, 40_000, 1])).contains("more records open than any window"));
    assert!(absurd(5, &runs(&[i64::MAX as u64, 1])).contains("beyond the highest offset"));
    assert!(absurd(i64::MAX, &runs(&[1, 1])).contains("beyond the highest offset"));
    assert!(absurd(5, &runs(&[1, i64::MAX as u64])).contains("beyond the highest offset"));
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(offset in 0i64..1 << 50, widths in widths(400)) {
        let ended = ranges(offset, &widths);
        let text = write(offset, &ended);
        prop_assert!(text.len() <= TEXT_MAX && text.is_ascii());
        let committed = Committed::parse(offset, &text).unwrap();
        prop_assert!(ended.starts_with(committed.ranges()));
        let fits = bits(offset, &ended) <= BITS_MAX;
        prop_assert_eq!(committed.ranges().len() == ended.len(), fits);
        prop_assert_eq!(write(offset, committed.ranges()), text);
    }

    /// Whatever stands in the metadata is refused in words, or is exactly what a writer would have written.
    #[test]
    fn hostile_metadata_is_refused_or_true(offset: i64, text in prop_oneof![".{0,200}", "1[A-Za-z0-9+/]{0,200}"]) {
        hold_to_what_is_canonical(offset, &text);
    }

    #[test]
    fn hostile_runs_with_a_right_checksum_are_refused_or_true(
        offset in prop_oneof![0i64..1000, any::<i64>()],
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>(), Just(0xff)], 0..3200),
    ) {
        hold_to_what_is_canonical(offset, &forge(offset, &bytes));
    }

    #[test]
    fn a_damaged_map_is_refused(
        offset in 0i64..1 << 50,
        widths in widths(60),
        at: prop::sample::Index,
        to in 0u8..128,
        cut: prop::sample::Index,
    ) {
        let text = write(offset, &ranges(offset, &widths));
        prop_assert!(cut.index(text.len()) == 0 || Committed::parse(offset, &text[..cut.index(text.len())]).is_err());
        let mut bytes = text.clone().into_bytes();
        bytes[at.index(text.len())] = to;
        let damaged = String::from_utf8(bytes).unwrap();
        prop_assert!(damaged == text || Committed::parse(offset, &damaged).is_err());
    }
}

fn hold_to_what_is_canonical(offset: i64, text: &str) {
    match Committed::parse(offset, text) {
        Ok(committed) => {
            let apart = committed.ranges().windows(2).all(|pair| pair[0].end < pair[1].start);
            assert!(
                apart && committed.ranges().iter().all(|range| range.start > offset && !range.is_empty())
            );
            assert!(write(offset, committed.ranges()) == text || text.len() > TEXT_MAX);
        }
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
}
