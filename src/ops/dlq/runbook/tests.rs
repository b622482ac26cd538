//! What the steps say, and of whom.

use std::collections::BTreeMap;

use super::*;
use crate::ops::dlq::account::Changes;
use crate::ops::dlq::care::Care;
use crate::ops::dlq::fixture::{known, time};
use crate::ops::dlq::life::{Cost, Life};
use crate::ops::dlq::list::Letter;
use crate::quarantine::Known;

fn account() -> Account {
    let changes = Changes {
        revision_then: Some("r1".into()),
        revision_now: Some("r1".into()),
        revision_differs: Some(false),
        resolved_at: None,
    };
    Account {
        letter: Letter { known: known(60), care: Care::default(), cost: None },
        group: None,
        acts: Vec::new(),
        group_acts: Vec::new(),
        life: Life::default(),
        cost: Cost::default(),
        changes,
        links: BTreeMap::new(),
        standing: None,
        edit_of: None,
        edit_changes: None,
    }
}

fn step<'a>(runbook: &'a Runbook, title: &str) -> &'a Step {
    runbook.steps.iter().find(|step| step.title == title).expect("a step")
}

#[test]
fn every_command_is_of_this_letter_and_of_this_configuration() {
    let account = account();
    let runbook = runbook(&account, "lazaret --config demo.yaml");
    let entry = &account.letter.known.entry;
    for command in runbook.steps.iter().flat_map(|step| &step.commands) {
        assert!(command.starts_with("lazaret --config demo.yaml "), "{command}");
    }
    assert!(
        step(&runbook, "Cause")
            .commands
            .contains(&format!("lazaret --config demo.yaml dlq show {}", entry.id))
    );
    let mend = &step(&runbook, "Fix, or wait").text;
    assert!(mend.contains(&format!("`lazaret --config demo.yaml dlq show {}`", entry.id)), "{mend}");
    assert!(!mend.contains("show ID"), "{mend}");
    let plan = &step(&runbook, "Redrive").commands[0];
    assert!(plan.contains(&format!("redrive plan --group {}", entry.fingerprint)), "{plan}");
}

#[test]
fn the_conditions_say_what_has_not_changed_and_what_is_lost() {
    let mut account = account();
    account.letter.known.state = State::Expired;
    let text = |account: &Account| step(&runbook(account, "lazaret"), "Before it is sent back").text.clone();
    let told = text(&account);
    assert!(told.contains("it fails again") && told.contains("Kafka has deleted the record"), "{told}");
    account.changes.revision_differs = Some(true);
    account.letter.known.state = State::Open;
    account.letter.care.kept_until = Some(time(0));
    let told = text(&account);
    assert!(told.contains("another revision now") && told.contains("may delete the record from"), "{told}");
    assert!(!told.contains("has deleted"), "{told}");
}

#[test]
fn what_others_wrote_is_not_sent_back_by_us_and_has_no_page() {
    let mut account = account();
    let entry = Entry { writer: Writer::Spring, code: "com.example.Refused".into(), ..known(60).entry };
    account.letter.known = Known { entry, ..known(60) };
    let runbook = runbook(&account, "lazaret");
    assert!(step(&runbook, "Redrive").commands.is_empty());
    assert!(step(&runbook, "Cause").commands.iter().all(|command| !command.contains("codes")));
}
