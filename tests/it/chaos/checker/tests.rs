//! The judge finds what is wrong, and nothing where nothing is.

use super::*;

fn sent(job: &str, key: &str, offset: i64) -> Sent {
    Sent { job: job.into(), key: key.into(), at: (0, offset) }
}

fn seen(job: &str, key: &str, offset: i64) -> Seen {
    Seen { job: job.into(), key: key.into(), at: (0, offset), redrives: None }
}

fn letter(job: &str, redrives: u32) -> Seen {
    Seen { redrives: Some(redrives), ..seen(job, "k", 0) }
}

fn call(text: &str, outcome: &'static str) -> Call {
    let (body, text) = (String::new(), text.to_owned());
    Call { endpoint: "embeddings", body, text, attempt: 0, outcome, idempotency_key: None }
}

/// Three records of one key, all well.
fn judge(change: impl FnOnce(&mut Acts, &mut Vec<Seen>, &mut Vec<Seen>, &mut Vec<Call>)) -> Judgement {
    let sent = [sent("a", "k", 0), sent("b", "k", 1), sent("c", "k", 2)];
    let mut outputs: Vec<Seen> =
        ["a", "b", "c"].into_iter().enumerate().map(|(n, job)| seen(job, "k", n as i64)).collect();
    let mut calls: Vec<Call> = ["a", "b", "c"].into_iter().map(|text| call(text, "200")).collect();
    let (mut acts, mut letters) = (Acts::default(), Vec::new());
    change(&mut acts, &mut outputs, &mut letters, &mut calls);
    let hold = false;
    Case { sent: &sent, acts: &acts, outputs: &outputs, letters: &letters, calls: &calls, hold }.judge()
}

#[test]
fn what_went_well_is_not_blamed() {
    assert_eq!(judge(|_, _, _, _| {}), Judgement::default());
    // Died, was sent back, and came out after its followers; failed calls are no paid ones.
    let mended = judge(|acts, outputs, letters, calls| {
        letters.push(letter("a", 0));
        acts.redrives.insert("a".into(), 1);
        outputs[0].at = (0, 9);
        calls.push(call("a", "500"));
    });
    assert_eq!(mended, Judgement::default());
    let gone = judge(|acts, outputs, letters, _| {
        outputs.remove(1);
        letters.push(letter("b", 0));
        acts.discarded.insert("b".into());
    });
    assert_eq!(gone, Judgement::default());
}

#[test]
fn a_record_without_an_end_is_lost_and_so_is_one_whose_second_end_is_missing() {
    assert_eq!(judge(|_, outputs, _, _| drop(outputs.remove(1))).lost, ["b"]);
    let again = judge(|acts, outputs, letters, _| {
        outputs.remove(1);
        letters.push(letter("b", 0));
        acts.redrives.insert("b".into(), 1);
    });
    assert_eq!(again.lost, ["b"]);
}

#[test]
fn two_ends_are_one_too_many() {
    assert_eq!(judge(|_, outputs, _, _| outputs.push(seen("c", "k", 3))).duplicated, ["c: 2 outputs"]);
    let dead = judge(|_, _, letters, _| letters.extend([letter("c", 0), letter("c", 0)])).duplicated;
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert_eq!(judge(|_, _, letters, _| letters.push(letter("c", 0))).duplicated.len(), 1);
    let given_up = judge(|acts, _, _, _| acts.discarded.extend(["c".into()])).duplicated;
    assert_eq!(given_up, ["c: given up and done"]);
    assert_eq!(judge(|_, outputs, _, _| outputs.push(seen("x", "k", 3))).duplicated, ["x: nobody sent it"]);
}

#[test]
fn a_record_that_comes_out_after_its_follower_was_overtaken() {
    let swapped = judge(|_, outputs, _, _| outputs[0].at = (0, 9));
    assert_eq!(swapped.overtaken, ["a of key k came out after c"]);
    let sent = [sent("a", "k", 0), sent("b", "k", 1)];
    let outputs = [seen("b", "k", 0), seen("a", "k", 1)];
    let (letters, acts) = ([letter("a", 0)], Acts { redrives: [("a".into(), 1)].into(), ..Acts::default() });
    let case = |hold| {
        Case { sent: &sent, acts: &acts, outputs: &outputs, letters: &letters, calls: &[], hold }.judge()
    };
    assert!(case(false).overtaken.is_empty(), "followers may pass a dead letter");
    assert_eq!(case(true).overtaken, ["a of key k came out after b"], "unless they are held");
}

#[test]
fn an_answer_that_was_paid_for_twice_is_counted() {
    assert_eq!(judge(|_, _, _, calls| calls.push(call("a", "200"))).paid_again, 1);
}
