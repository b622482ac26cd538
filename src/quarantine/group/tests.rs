//! Where a group is, and stretches of time.

use super::*;

fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).expect("a time")
}

fn group(states: &[State], regressed: bool) -> Group {
    Group {
        fingerprint: String::new(),
        pipeline: String::new(),
        stage: String::new(),
        code: String::new(),
        class: String::new(),
        message: String::new(),
        count: 1,
        states: states.iter().map(|state| (*state, 1)).collect(),
        first: time(0),
        last: time(0),
        tenants: 0,
        resources: 0,
        bytes: 0,
        tokens: None,
        oldest_open: None,
        oldest_unseen: None,
        oldest_record: None,
        remarks: Remarks::default(),
        resolved_at: None,
        regressed,
    }
}

#[test]
fn a_group_is_where_the_letter_is_that_is_furthest_from_its_end() {
    use State::*;
    for (states, regressed, expected) in [
        (&[Open, Resolved] as &[State], false, GroupState::Open),
        (&[Open, Redriving], true, GroupState::Regressed),
        (&[Redriving, Discarded], true, GroupState::Redriving),
        (&[Resolved, Discarded], true, GroupState::Resolved),
        (&[Superseded], false, GroupState::Resolved),
        (&[Discarded], false, GroupState::Discarded),
        (&[Expired], false, GroupState::Expired),
        (&[Expired, Discarded], false, GroupState::Resolved),
    ] {
        let state = group(states, regressed).state();
        assert_eq!(state, expected, "{states:?}");
        assert_eq!(serde_json::to_value(state).expect("JSON"), state.as_str());
    }
}

#[test]
fn a_stretch_of_hours_ends_with_the_hour_that_it_is() {
    const HOUR: i64 = 3_600_000;
    let stretch = Stretch::of_hours(time(100 * HOUR + 5), 24);
    assert_eq!((stretch.from, stretch.to()), (time(77 * HOUR), time(101 * HOUR)));
    let part = |n: i64| stretch.part_of(n);
    assert_eq!([part(77 * HOUR - 1), part(77 * HOUR), part(78 * HOUR - 1)], [None, Some(0), Some(0)]);
    assert_eq!([part(101 * HOUR - 1), part(101 * HOUR)], [Some(23), None]);
}

#[test]
fn a_stretch_reaches_from_one_time_to_the_other_in_parts_of_equal_length() {
    let stretch = Stretch::between(time(10), time(20), 4);
    assert_eq!((stretch.part_ms, stretch.to()), (3, time(22)));
    assert_eq!(
        [9, 10, 12, 13, 21, 22].map(|n| stretch.part_of(n)),
        [None, Some(0), Some(0), Some(1), Some(3), None]
    );
    for odd in [Stretch::between(time(9), time(9), 3), Stretch::between(time(9), time(1), 3)] {
        assert_eq!(odd.part_of(9), Some(0), "{odd:?}");
    }
    let all = Stretch::between(Timestamp::MIN, Timestamp::MAX, 24);
    assert!(all.part_of(0).is_some() && all.part_of(i64::MIN).is_none());
}
