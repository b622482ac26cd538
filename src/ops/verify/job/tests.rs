use super::*;

fn input(ended: bool) -> Option<Input> {
    Some(Input { partition: 0, offset: 7, timestamp: Some(1_000), ended })
}

fn ended() -> Job {
    Job { input: input(true), ..Job::default() }
}

fn place(job: &Job) -> Place {
    job.place(&Sight::default()).0
}

#[test]
fn a_record_that_has_not_ended_is_where_the_ledger_says_and_else_unread() {
    let open = Job { input: input(false), ..Job::default() };
    assert_eq!(place(&open), Place::Unread);
    for (state, expected) in [
        (State::Running, Place::InFlight),
        (State::Stored, Place::InFlight),
        (State::Condemned, Place::InFlight),
        (State::Released, Place::Unread),
        (State::Waiting, Place::Waiting),
        (State::Parked, Place::Parked),
        (State::Done, Place::Done),
        (State::Dead, Place::Dead),
        (State::Discarded, Place::Discarded),
    ] {
        assert_eq!(place(&Job { ledger: Some(state), ..open.clone() }), expected, "{state:?}");
    }
}

#[test]
fn a_record_that_ended_and_left_nothing_is_missing_whatever_the_ledger_still_says() {
    for ledger in [
        None,
        Some(State::Running),
        Some(State::Stored),
        Some(State::Condemned),
        Some(State::Waiting),
        Some(State::Parked),
        Some(State::Released),
        Some(State::Done),
        Some(State::Dead),
    ] {
        let (place, why) = Job { ledger, ..ended() }.place(&Sight::default());
        assert_eq!(place, Place::Missing, "{ledger:?}");
        assert!(!why.is_empty());
    }
    assert_eq!(place(&Job { ledger: Some(State::Discarded), ..ended() }), Place::Discarded);
}

#[test]
fn what_kafka_shows_is_enough_without_a_ledger() {
    assert_eq!(place(&Job { outputs: 1, ..ended() }), Place::Done);
    assert_eq!(place(&Job { died: Some(0), ..ended() }), Place::Dead);
    for (lane, expected) in
        [(Lane::Rung, Place::Waiting), (Lane::Park, Place::Parked), (Lane::Redrive, Place::Redriven)]
    {
        assert_eq!(place(&Job { open: Some(lane), ..ended() }), expected);
        assert_eq!(
            place(&Job { open: Some(lane), ledger: Some(State::Running), ..ended() }),
            Place::InFlight
        );
    }
}

#[test]
fn a_stage_that_may_send_nothing_is_done_when_the_ledger_says_so() {
    let sight = Sight { may_send_nothing: true, ..Sight::default() };
    assert_eq!(Job { ledger: Some(State::Done), ..ended() }.place(&sight).0, Place::Done);
    assert_eq!(Job { ledger: Some(State::Stored), ..ended() }.place(&sight).0, Place::InFlight);
    assert_eq!(Job { ledger: Some(State::Waiting), ..ended() }.place(&sight).0, Place::Missing);
}

#[test]
fn what_kafka_has_deleted_is_beyond_the_horizon_and_not_missing() {
    let outputs = Sight { outputs_from: Some(1_000), ..Sight::default() };
    let letters = Sight { letters_from: Some(1_000), ..Sight::default() };
    assert_eq!(ended().place(&outputs).0, Place::Beyond);
    assert_eq!(ended().place(&letters).0, Place::Beyond);
    assert_eq!(Job { ledger: Some(State::Done), ..ended() }.place(&outputs).0, Place::Beyond);
    assert_eq!(Job { ledger: Some(State::Done), ..ended() }.place(&letters).0, Place::Missing);
    assert_eq!(Job { ledger: Some(State::Dead), ..ended() }.place(&letters).0, Place::Dead);
    let later = Sight { outputs_from: Some(999), letters_from: Some(999), ..Sight::default() };
    assert_eq!(ended().place(&later).0, Place::Missing, "what came of it is later than what was deleted");
    let waits = Job { ledger: Some(State::Waiting), ..ended() };
    assert_eq!(waits.place(&outputs).0, Place::Missing, "a waiting record must not be deleted");
}

#[test]
fn a_redriven_job_whose_second_end_left_nothing_is_missing() {
    let again = Job { died: Some(0), redrives: 1, ..ended() };
    assert_eq!(place(&Job { ledger: Some(State::Dead), ..again.clone() }), Place::Missing);
    assert_eq!(place(&again), Place::Missing);
    assert_eq!(place(&Job { died: Some(1), ..again.clone() }), Place::Dead);
    assert_eq!(place(&Job { outputs: 1, ..again }), Place::Done);
}

#[test]
fn what_stands_once_is_not_double() {
    for job in [
        ended(),
        Job { outputs: 3, ..ended() },
        Job { died: Some(0), ..ended() },
        Job { copies: 1, ..ended() },
        Job { died: Some(0), redrives: 1, outputs: 1, ..ended() },
        Job { died: Some(0), redrives: 1, copies: 1, copy_redrives: Some(1), ..ended() },
    ] {
        assert_eq!(job.doubled(), None, "{job:?}");
    }
}

#[test]
fn two_ends_of_one_job_are_double() {
    for job in [
        Job { outputs: 2, output_twice: true, ..ended() },
        Job { died: Some(0), letter_twice: true, ..ended() },
        Job { copies: 2, ..ended() },
        Job { outputs: 1, copies: 1, ..ended() },
        Job { died: Some(0), copies: 1, copy_redrives: Some(0), ..ended() },
        Job { died: Some(0), outputs: 1, ..ended() },
        Job { died: Some(1), redrives: 1, outputs: 1, ..ended() },
    ] {
        assert!(job.doubled().is_some(), "{job:?}");
    }
}

#[test]
fn only_what_is_the_stages_matter_counts() {
    let foreign = Job { outputs: 2, output_twice: true, ..Job::default() };
    assert!(!foreign.is_known() && !foreign.counts());
    let old = Job { died: Some(0), ..Job::default() };
    assert!(old.is_known() && !old.counts());
    let lost = Job { ledger: Some(State::Waiting), ..Job::default() };
    assert!(lost.counts());
    assert_eq!(place(&lost), Place::Missing, "its record was deleted while it waited");
}
