use jiff::Timestamp;

use super::*;
use crate::flow::{Code, Fault};
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Coordinates, Correlation, Headers, JobId};

fn at(topic: &str) -> Coordinates {
    Coordinates { topic: topic.into(), partition: 0, offset: 1, timestamp: None }
}

fn account(jobs: &[&str]) -> Account {
    let mut account = Account::default();
    for job in jobs {
        account.submitted(Input {
            job: (*job).into(),
            resource: format!("{job}.txt"),
            subject: Subject::Document,
            text: String::new(),
            expected: None,
        });
    }
    account
}

/// A record of an output topic.
fn output(job: &str, value: &str) -> Record {
    let mut headers = Headers::new();
    headers.push_text(JOB_ID, job);
    Record { at: at("out"), key: None, value: Some(value.as_bytes().to_vec().into()), headers }
}

fn indexed(job: &str, part: u32, parts: u32) -> Record {
    let indexed = Indexed { part, parts, passages: 10, ..Indexed::default() };
    output(job, &serde_json::to_string(&indexed).unwrap())
}

/// A record of a dead letter topic.
fn dead(job: &str, value: &str) -> Record {
    let correlation = Correlation {
        job: JobId(job.into()),
        tenant: None,
        resource: None,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    let now = Timestamp::UNIX_EPOCH;
    let scene = Scene {
        pipeline: "p",
        stage: "s",
        revision: "r",
        origin: &at("in"),
        correlation: &correlation,
        attempts: 1,
        first_failure: now,
        last_failure: now,
        redrives: 0,
    };
    let letter = DeadLetter::new(scene, &Fault::new(Code::ParseCorrupt, "cut off"));
    let headers = letter.seal(&Headers::new(), Detail::Full);
    Record { at: at("p.s.dlq"), key: None, value: Some(value.as_bytes().to_vec().into()), headers }
}

impl Account {
    fn take(&mut self, record: &Record, is_dead: bool) {
        let (job, end) = read(record, is_dead, Subject::Document);
        self.ended(job.as_deref(), end);
    }
}

#[test]
fn a_document_has_ended_when_all_its_parts_have() {
    let mut account = account(&["a"]);
    for part in [2, 0] {
        account.take(&indexed(&format!("a/{part}"), part, 3), false);
        assert_eq!(account.balance().open, 1);
    }
    account.take(&indexed("a/1", 1, 3), false);
    assert_eq!(account.balance(), Balance { submitted: 1, indexed: 1, ..Balance::default() });
    assert_eq!(account.passages(&account.inputs()[0]), 30);
    assert!(account.balance().is_even());
}

#[test]
fn a_dead_letter_is_a_proper_end() {
    let mut account = account(&["a"]);
    account.take(&dead("a", r#"{"id":"a.txt","tenant":"t"}"#), true);
    assert_eq!(account.balance(), Balance { submitted: 1, dead: 1, ..Balance::default() });
    assert_eq!(account.letters().next().unwrap().letter.code, "parse.corrupt");
}

#[test]
fn a_part_that_died_is_the_end_of_that_part_only() {
    let mut account = account(&["a"]);
    account.take(&dead("a/0", r#"{"part":0,"parts":2,"passages":[]}"#), true);
    assert_eq!(account.balance().open, 1);
    account.take(&indexed("a/1", 1, 2), false);
    assert_eq!(account.balance().partly_dead, 1);
    assert!(account.balance().is_even());
}

#[test]
fn a_document_all_of_whose_parts_died_is_dead() {
    let mut account = account(&["a"]);
    account.take(&dead("a/0", r#"{"part":0,"parts":1}"#), true);
    assert_eq!(account.balance().dead, 1);
}

#[test]
fn what_ends_twice_upsets_the_balance() {
    let twice_indexed = [(indexed("a/0", 0, 1), false), (indexed("a/0", 0, 1), false)];
    let dead_and_indexed = [(dead("a", "{}"), true), (indexed("a/0", 0, 1), false)];
    let twice_dead = [(dead("a", "{}"), true), (dead("a", "{}"), true)];
    for ends in [twice_indexed, dead_and_indexed, twice_dead] {
        let mut account = account(&["a"]);
        for (record, is_dead) in &ends {
            account.take(record, *is_dead);
        }
        let balance = account.balance();
        assert_eq!((balance.doubled, balance.open, balance.is_even()), (1, 0, false));
    }
}

#[test]
fn what_nobody_submitted_upsets_the_balance() {
    let mut account = account(&[]);
    account.take(&indexed("x/0", 0, 1), false);
    account.take(&output("a", "no JSON"), false);
    let mut nameless = indexed("a", 0, 1);
    nameless.headers = Headers::new();
    account.take(&nameless, false);
    account.take(&nameless, true);
    assert_eq!(account.balance().strangers, 4);
}

#[test]
fn an_end_may_be_seen_before_the_submission_is_known() {
    let mut early = account(&[]);
    early.take(&dead("a", "null"), true);
    early.inputs = account(&["a"]).inputs;
    assert!(early.balance().is_even());
}

#[test]
fn a_question_ends_with_its_answer() {
    let mut account = account(&["q"]);
    let answer = serde_json::to_string(&Answer { text: "42".into(), ..Answer::default() }).unwrap();
    let (job, end) = read(&output("q", &answer), false, Subject::Question);
    account.ended(job.as_deref(), end);
    assert_eq!(account.balance().answered, 1);
    assert_eq!(account.answer(&account.inputs()[0]).unwrap().text, "42");
}
