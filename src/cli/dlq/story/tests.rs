//! What is said about one dead letter.

use std::collections::BTreeMap;

use super::*;
use crate::flow::Fault;
use crate::ledger::Event;
use crate::ops::dlq::account::Changes;
use crate::ops::dlq::care::{Care, Due};
use crate::ops::dlq::fixture::{self, known, time};
use crate::ops::dlq::list::Letter;
use crate::ops::dlq::original::{Header, Original, Part, Standing};
use crate::quarantine::{Deed, Entry, Known};

fn account() -> Account {
    let original = Original {
        key: Part::of(Some(b"k")),
        headers: vec![Header { name: "x-secret".into(), value: Part::of(Some(b"s3cr3t")) }],
        payload: Part::of(Some(br#"{"id":"a.pdf"}"#)),
        usage: None,
    };
    Account {
        letter: Letter { known: known(60), care: Care::default(), cost: None },
        group: None,
        acts: Vec::new(),
        group_acts: Vec::new(),
        life: Life::default(),
        cost: Cost::default(),
        changes: Changes {
            revision_then: None,
            revision_now: None,
            revision_differs: None,
            resolved_at: None,
        },
        links: BTreeMap::new(),
        standing: Some(Standing::There(Box::new(original))),
        edit_of: None,
        edit_changes: None,
    }
}

fn told(account: &Account) -> String {
    story(account, &Telling { payload: true, now: time(3_660), command: "lazaret" })
}

#[test]
fn it_begins_with_the_cause_and_ends_with_commands() {
    let mut account = account();
    account.letter.known.entry.job = "j 1'".into();
    account.life.events = vec![event("started", None)];
    let text = told(&account);
    assert!(text.starts_with("parse.corrupt (permanent): cannot read the page tree\n"), "{text}");
    assert!(text.contains(Code::ParseCorrupt.page().trim()));
    for part in ["acme", "0af7651916cd43dd8448eb211c80319c", "documents-1@7", "rag.parse.dlq-1@7", ", 1h ago"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(text.contains("xref table is cut off"));
    let (_, next) = text.rsplit_once("next\n").expect("commands");
    assert!(next.contains(r"lazaret job 'j 1'\'''"), "{next}");
    assert!(next.lines().all(|line| line.starts_with("  lazaret ")), "{next}");
}

fn event(kind: &str, fault: Option<Fault>) -> Event {
    Event { fault, ..fixture::event(kind) }
}

#[test]
fn the_life_of_the_job_has_every_attempt_with_its_error() {
    let mut account = account();
    account.life.events =
        vec![event("started", None), event("waiting", Some(Fault::new(Code::LlmTimeout, "no answer")))];
    let text = told(&account);
    assert!(text.contains("waiting  llm.timeout: no answer"), "{text}");
    account.life = Life { unread: Some("there is no ledger at data/ledger.db".into()), ..Life::default() };
    let text = told(&account);
    assert!(text.contains("life of the job\n  not known: there is no ledger at data/ledger.db\n"), "{text}");
    assert!(text.contains("tokens are not known"), "{text}");
}

#[test]
fn who_did_what_and_why_is_told() {
    let mut account = account();
    let act = Act {
        id: "a".into(),
        operation: "o".into(),
        at: time(0),
        by: "kim".into(),
        reason: Some("a test".into()),
        letters: Vec::new(),
        group: None,
        deed: Deed::Noted { text: "look at page 3".into() },
    };
    account.group_acts = vec![Act { deed: Deed::Resolved, ..act.clone() }];
    account.acts = vec![act];
    let text = told(&account);
    assert!(text.contains("kim  noted: look at page 3 (a test)\n"), "{text}");
    assert!(
        text.contains("what was done with its group\n") && text.contains("kim  resolved (a test)\n"),
        "{text}"
    );
}

#[test]
fn contents_are_shown_as_far_as_they_are_there() {
    let mut account = account();
    let full = told(&account);
    assert!(full.contains("x-secret: s3cr3t") && full.contains(r#""id": "a.pdf""#), "{full}");
    if let Some(Standing::There(original)) = account.standing {
        account.standing = Some(Standing::There(Box::new(original.without_contents())));
    }
    let masked = told(&account);
    assert!(!masked.contains("s3cr3t") && !masked.contains(r#""id": "a.pdf""#), "{masked}");
    assert!(
        masked.contains("x-secret: 6 bytes") && masked.contains("key 1 bytes, value 14 bytes"),
        "{masked}"
    );
    account.standing = Some(Standing::Gone);
    assert!(told(&account).contains("Kafka has deleted the record"));
}

#[test]
fn what_is_late_and_who_has_to_know_is_told_and_what_is_not_set_is_not() {
    let mut account = account();
    assert!(!told(&account).contains("\nowner"), "what is not set is not shown");
    account.letter.care = Care {
        owner: Some("team-pdf".into()),
        look_by: Some(time(60)),
        overdue: vec![Due::Look],
        kept_until: Some(time(99)),
        ..Care::default()
    };
    account.links.insert("logs", "https://logs/?q=j1".into());
    let text = told(&account);
    for line in ["owner         team-pdf\n", "late          look\n", "logs          https://logs/?q=j1\n"] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(text.contains(&format!("kept until    {:.3}, when", time(99))), "{text}");
}

#[test]
fn what_others_wrote_is_told_as_theirs_and_cannot_steer_the_terminal() {
    let mut account = account();
    let entry = Entry {
        writer: Writer::Spring,
        pipeline: String::new(),
        stage: String::new(),
        revision: None,
        code: "com.example.Refused".into(),
        class: String::new(),
        message: "a\x1b[2Jb".into(),
        ..known(60).entry
    };
    account.letter.known = Known { entry, ..known(60) };
    let text = told(&account);
    assert!(text.starts_with("com.example.Refused (of no known class): a\u{fffd}[2Jb\n"), "{text}");
    assert!(text.contains("written by Spring"), "{text}");
}

#[test]
fn a_class_that_is_not_the_codes_own_says_who_gave_it() {
    let mut account = account();
    assert!(!told(&account).contains("by themselves"));
    account.letter.known.entry.class = "transient".into();
    let text = told(&account);
    assert!(text.contains("are permanent by themselves; a rule of the stage made it so"), "{text}");
    account.acts = vec![Act {
        id: "act".into(),
        operation: String::new(),
        at: time(100),
        by: "kim".into(),
        reason: None,
        letters: Vec::new(),
        group: None,
        deed: Deed::Reclassified { code: "parse.corrupt".into(), class: "transient".into() },
    }];
    assert!(told(&account).contains("'kim' reclassified it"));
}
