use super::*;
use crate::ledger::RowId;
use crate::message::Coordinates;
use crate::ops::quarantine::content::BYTES_MAX;

fn letter() -> Entry {
    let time = jiff::Timestamp::UNIX_EPOCH;
    Entry {
        id: "letter-1".into(),
        writer: Writer::Lazaret,
        at: Coordinates { topic: "p.embed.dlq".into(), partition: 0, offset: 3, timestamp: None },
        pipeline: "p".into(),
        stage: "embed".into(),
        revision: Some("r1".into()),
        code: "llm.timeout".into(),
        class: "transient".into(),
        message: "no answer".into(),
        chain: Vec::new(),
        fingerprint: "f1".into(),
        attempts: 3,
        first_failure: time,
        last_failure: time,
        origin: None,
        redrives: 0,
        job: "job-1".into(),
        tenant: None,
        resource: None,
        trace: None,
        producer: None,
        feature: None,
        model: None,
        size: 10,
        spent: None,
    }
}

fn row(state: JobState, redrives: u32) -> JobRow {
    JobRow {
        id: RowId(1),
        stage: "embed".into(),
        job: "job-1".into(),
        state,
        attempt: 3,
        redrives,
        at: None,
        origin: None,
        went_to: None,
        finishes: 0,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn only_what_is_dead_and_was_not_sent_back_may_be() {
    let refused = |state, row: Option<&JobRow>| objection(&letter(), state, row).map(|advice| advice.message);
    assert_eq!(refused(State::Open, Some(&row(JobState::Dead, 0))), None);
    assert_eq!(refused(State::Open, Some(&row(JobState::Discarded, 1))), None, "it was restored");
    for (state, row, word) in [
        (State::Redriving, Some(row(JobState::Dead, 0)), "sent back before"),
        (State::Superseded, Some(row(JobState::Dead, 1)), "sent back before"),
        (State::Open, Some(row(JobState::Dead, 1)), "sent back before"),
        (State::Open, Some(row(JobState::Done, 0)), "done"),
        (State::Discarded, Some(row(JobState::Discarded, 1)), "discarded"),
        (State::Open, None, "does not know"),
    ] {
        let message = refused(state, row.as_ref()).expect("refused");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn what_failed_for_good_is_not_run_again_by_the_same_revision_of_its_stage() {
    let permanent = Entry { class: "permanent".into(), ..letter() };
    let refused = unchanged(&permanent, "r1").expect("refused");
    assert!(refused.message.contains("has not changed"), "{refused}");
    assert_eq!(unchanged(&permanent, "r2"), None);
    assert_eq!(unchanged(&letter(), "r1"), None, "it heals by waiting");
}

#[test]
fn letters_go_together_as_long_as_they_are_few_and_small() {
    let sized =
        |size: u64| Outgoing { letter: Entry { size, ..letter() }, redrives: 1, archived: None, edit: None };
    let sizes = |all: Vec<Outgoing>| {
        portions(all, LETTERS_MAX, |one| one.letter.size).iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes(Vec::new()), [0; 0]);
    assert_eq!(sizes((0..1200).map(|_| sized(1)).collect()), [500, 500, 200]);
    assert_eq!(
        sizes(vec![sized(BYTES_MAX), sized(1), sized(BYTES_MAX + 5), sized(1), sized(1)]),
        [1, 1, 1, 2]
    );
}
