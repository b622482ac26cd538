use super::*;
use crate::ops::dlq::fixture::{known, time};

/// Whether each of these rules, alone, is for the letter, at second 3600; it died at second 60.
fn judged(rule: &str, letter: &Known, circumstances: &Circumstances) -> bool {
    let rules = rules(&format!("[{{ name: one, {rule} }}]"));
    Judge::new(&rules, time(3600)).rule_for(letter, circumstances).expect("told").is_some()
}

fn rules(yaml: &str) -> Vec<Rule> {
    serde_saphyr::from_str(yaml).expect(yaml)
}

fn is_for(rule: &str) -> bool {
    judged(rule, &known(60), &Circumstances::default())
}

#[test]
fn a_rule_without_conditions_is_for_every_letter() {
    assert!(is_for("do: keep"));
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    for (which, expected) in [
        ("stage: parse", true),
        ("stage: answer", false),
        ("code: parse", true),
        ("code: parse.corrupt, class: permanent", true),
        ("code: parse.corrupt, class: transient", false),
        ("tenant: acme", true),
        ("tenant: globex", false),
        ("text: PAGE TREE", true),
        ("older_than: 59m", true),
        ("older_than: 1h", false),
        ("older_than: 3540s", true),
        ("younger_than: 1h", true),
        ("younger_than: 59m", true),
        ("younger_than: 10m", false),
        ("where: 'attempts > 2'", true),
        ("where: 'attempts > 3'", false),
        ("class: permanent, where: 'attempts > 3'", false),
    ] {
        assert_eq!(is_for(&format!("match: {{ {which} }}, do: keep")), expected, "{which}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = rules(
        "[{ name: other, match: { stage: answer }, do: keep }, \
          { name: first, match: { code: parse }, do: { assign: { owner: kim } } }, \
          { name: second, do: keep }]",
    );
    let judge = Judge::new(&rules, time(3600));
    assert_eq!(judge.rule_for(&known(60), &Circumstances::default()), Ok(Some(1)));
}

#[test]
fn what_is_so_already_is_left_to_the_rules_that_follow() {
    let mut letter = known(60);
    let nothing = Circumstances::default();
    let assign = "do: { assign: { owner: kim } }";
    assert!(judged(assign, &letter, &nothing));
    letter.remarks.owner = Some("ada".into());
    assert!(!judged(assign, &letter, &nothing), "somebody has it");
    let reclassify = "do: { reclassify: { code: parse.encoding, class: permanent } }";
    assert!(judged(reclassify, &letter, &nothing));
    (letter.entry.code, letter.entry.class) = ("parse.encoding".into(), "permanent".into());
    assert!(!judged(reclassify, &letter, &nothing));
}

#[test]
fn what_was_sent_back_often_enough_is_not_sent_back_by_rule() {
    let (mut letter, nothing) = (known(60), Circumstances::default());
    letter.entry.redrives = 2;
    assert!(judged("do: redrive", &letter, &nothing));
    letter.entry.redrives = 3;
    assert!(!judged("do: redrive", &letter, &nothing));
    assert!(judged("do: { redrive: { redrives: 4 } }", &letter, &nothing));
}

#[test]
fn what_others_wrote_is_neither_sent_back_nor_given_up() {
    let (mut letter, nothing) = (known(60), Circumstances::default());
    letter.entry.writer = Writer::Spring;
    assert!(!judged("do: redrive", &letter, &nothing));
    assert!(!judged("do: { discard: { reason: old } }", &letter, &nothing));
    assert!(judged("do: { assign: { owner: kim } }", &letter, &nothing));
}

#[test]
fn a_rule_can_ask_whether_the_provider_is_back_and_whether_the_group_has_regressed() {
    let letter = known(60);
    let up = "match: { provider: up }, do: keep";
    let regressed = "match: { group_state: regressed }, do: keep";
    let nothing = Circumstances::default();
    assert!(!judged(up, &letter, &nothing), "the stage calls none");
    assert!(!judged(regressed, &letter, &nothing));
    assert!(judged("match: { group_state: open }, do: keep", &letter, &nothing));
    let mut now = Circumstances::default();
    now.providers.insert(stage_of(&letter), ProviderState::Down);
    now.regressed.insert(letter.entry.fingerprint.clone());
    assert!(!judged(up, &letter, &now));
    assert!(judged("match: { provider: down }, do: keep", &letter, &now));
    assert!(judged(regressed, &letter, &now));
    now.providers.insert(stage_of(&letter), ProviderState::Up);
    assert!(judged(up, &letter, &now));
}

#[test]
fn what_nobody_can_tell_is_left_alone_whatever_rules_follow() {
    let rules = rules(
        "[{ name: odd, match: { where: '1 / (attempts - 3) > 0' }, do: keep }, \
          { name: rest, do: { discard: { reason: old } } }]",
    );
    let judge = Judge::new(&rules, time(3600));
    // It has three attempts, and when the condition was read it had one.
    let told = judge.rule_for(&known(60), &Circumstances::default()).expect_err("nobody can tell");
    assert!(told.starts_with("rule 'odd': "), "{told}");
    let mut other = known(60);
    other.entry.attempts = 2;
    assert_eq!(judge.rule_for(&other, &Circumstances::default()), Ok(Some(1)));
}

#[test]
fn rules_that_give_other_codes_do_not_take_turns() {
    let rules = rules(
        "[{ name: a, match: { tenant: acme }, do: { reclassify: { code: parse.corrupt, class: transient } } }, \
          { name: b, match: { class: transient }, do: { reclassify: { code: parse.timeout, class: transient } } }, \
          { name: c, match: { class: transient }, do: { assign: { owner: kim } } }]",
    );
    let judge = Judge::new(&rules, time(3600));
    let mut letter = known(60);
    assert_eq!(judge.rule_for(&letter, &Circumstances::default()), Ok(Some(0)));
    letter.entry.class = "transient".into();
    assert_eq!(judge.rule_for(&letter, &Circumstances::default()), Ok(Some(2)), "it has its code");
}
