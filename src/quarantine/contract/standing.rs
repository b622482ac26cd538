//! Where letters are, and what is said of groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Open, act, apply, at, audit, count, groups, letter, on_group, states};
use crate::message::{Headers, TopicPartition};
use crate::quarantine::{Act, ActFilter, Deed, Edit, Entry, Filter, Outcome, Quarantine, State};

pub async fn standing(open: &impl Open) {
    a_letter_is_where_the_last_act_on_it_put_it(open().await).await;
    acts_count_in_the_order_of_their_topic_and_once(open().await).await;
    acts_may_come_before_their_letters(open().await).await;
    a_letter_whose_job_died_again_is_superseded_whichever_comes_first(open().await).await;
    the_same_job_in_another_stage_is_another(open().await).await;
    a_reclassified_letter_has_another_code_and_the_same_fingerprint(open().await).await;
    the_last_word_on_a_group_counts(open().await).await;
    what_is_said_of_a_letter_is_not_said_of_its_group(open().await).await;
    acts_are_found_by_letter_group_operation_and_person_the_latest_first(open().await).await;
    a_group_is_regressed_when_a_letter_died_after_it_was_resolved(open().await).await;
    what_kafka_deleted_is_expired_unless_somebody_did_something(open().await).await;
    what_is_known_later_of_an_expired_letter_still_counts(open().await).await;
    acts_on_letters_are_told_whole(open().await).await;
    of_several_edits_the_first_counts_and_the_index_has_where_it_stands(open().await).await;
}

const SENT: Deed = Deed::Redriven;

fn settled(outcome: Outcome) -> Deed {
    Deed::Settled { outcome }
}

async fn state(index: &dyn Quarantine, n: i64) -> State {
    index.find(&format!("id-{n:04}")).await.expect("works")[0].state
}

fn died_again(n: i64, redrives: u32) -> Entry {
    Entry { job: format!("job-{n}"), redrives, ..letter(n + 100 * i64::from(redrives)) }
}

async fn a_letter_is_where_the_last_act_on_it_put_it(index: Arc<dyn Quarantine>) {
    // Enough letters for some to be in full stripes and some not.
    apply(&*index, &(0..20).map(letter).collect::<Vec<_>>(), &[]).await;
    for n in [2, 18] {
        let id = format!("id-{n:04}");
        let acts = [
            (SENT, State::Redriving),
            (settled(Outcome::Returned), State::Open),
            (SENT, State::Redriving),
            (settled(Outcome::Succeeded), State::Resolved),
            (Deed::Discarded, State::Discarded),
            (Deed::Noted { text: "hm".into() }, State::Discarded),
            (Deed::Restored, State::Open),
            (SENT, State::Redriving),
            (settled(Outcome::FailedAgain), State::Superseded),
        ];
        for (offset, (deed, expected)) in (n * 100..).zip(acts) {
            apply(&*index, &[], &[act(offset, &[&id], deed)]).await;
            assert_eq!(state(&*index, n).await, expected);
            for state in State::ALL {
                let filter =
                    Filter { states: vec![state], job: Some(format!("job-{n}")), ..Filter::default() };
                assert_eq!(count(&*index, &filter).await, u64::from(state == expected));
            }
        }
    }
    assert_eq!(states(&*index).await.values().filter(|state| **state == State::Open).count(), 18);
}

async fn of_several_edits_the_first_counts_and_the_index_has_where_it_stands(index: Arc<dyn Quarantine>) {
    let edited = |offset: i64| {
        let edit = Edit::new("was".into(), Some(&b"secret"[..].into()), &Headers::new());
        act(offset, &["id-0001"], Deed::Edited { edit: Box::new(edit) })
    };
    let known = async || index.find("id-0001").await.expect("works").remove(0);
    // Acts may come before their letters, and in one batch or two.
    apply(&*index, &[], &[edited(4), edited(5)]).await;
    apply(&*index, &[letter(1)], &[edited(6)]).await;
    let edit = known().await.edit.expect("edited");
    assert_eq!((edit.act.as_str(), edit.offset, edit.sent), ("act-4", Some(4), false));
    assert_eq!((edit.by.as_str(), edit.reason.as_deref()), ("ada", Some("because")));
    for act in index.acts("id-0001").await.expect("works") {
        let Deed::Edited { edit } = &act.deed else { panic!("{act:?}") };
        assert!(edit.content.is_none(), "the index keeps no payloads");
        assert_eq!(edit.offset.map(|offset| format!("act-{offset}")), Some(act.id));
    }
    apply(&*index, &[], &[act(7, &["id-0001"], Deed::Unedited { edit: "act-4".into() })]).await;
    assert_eq!(known().await.edit, None);
    apply(&*index, &[], &[edited(8), act(9, &["id-0001"], SENT), edited(10)]).await;
    let edit = known().await.edit.expect("edited");
    assert_eq!((edit.offset, edit.sent, known().await.state), (Some(8), true, State::Redriving));
    assert!(known().await.looked_at);
}

async fn acts_count_in_the_order_of_their_topic_and_once(index: Arc<dyn Quarantine>) {
    apply(&*index, &[letter(1)], &[]).await;
    apply(&*index, &[], &[act(9, &["id-0001"], Deed::Discarded)]).await;
    apply(&*index, &[], &[act(5, &["id-0001"], SENT)]).await;
    assert_eq!(state(&*index, 1).await, State::Discarded);
    // A copy of the record, which stands later.
    let (_, copy) = act(5, &["id-0001"], SENT);
    apply(&*index, &[], &[(10, copy.clone()), (11, copy)]).await;
    assert_eq!(state(&*index, 1).await, State::Discarded);
    let acts = index.acts("id-0001").await.expect("works");
    assert_eq!(acts.iter().map(|act| act.id.as_str()).collect::<Vec<_>>(), ["act-5", "act-9"]);
    // One that stands earlier than was known.
    let (_, restored) = act(20, &["id-0001"], Deed::Restored);
    apply(&*index, &[], &[(20, restored.clone())]).await;
    assert_eq!(state(&*index, 1).await, State::Open);
    apply(&*index, &[], &[(6, restored)]).await;
    assert_eq!(state(&*index, 1).await, State::Discarded);
}

async fn acts_may_come_before_their_letters(index: Arc<dyn Quarantine>) {
    let code = Deed::Reclassified { code: "document.empty".into(), class: "permanent".into() };
    apply(&*index, &[], &[act(1, &["id-0001", "id-0002"], SENT), act(2, &["id-0002"], code)]).await;
    assert_eq!(count(&*index, &Filter::default()).await, 0);
    apply(&*index, &[letter(1), letter(2), letter(3)], &[]).await;
    assert_eq!(
        states(&*index).await.into_values().collect::<Vec<_>>(),
        [State::Redriving, State::Redriving, State::Open]
    );
    assert_eq!(index.find("id-0002").await.expect("works")[0].entry.code, "document.empty");
}

async fn a_letter_whose_job_died_again_is_superseded_whichever_comes_first(index: Arc<dyn Quarantine>) {
    let orders: [[u32; 4]; 4] = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
    for (n, order) in (0..).zip(orders) {
        for redrives in order {
            apply(&*index, &[died_again(n, redrives)], &[]).await;
        }
        for redrives in 0..4 {
            let expected = if redrives < 3 { State::Superseded } else { State::Open };
            assert_eq!(state(&*index, n + 100 * redrives).await, expected, "{order:?}");
        }
    }
    // All at once; and some of full stripes.
    apply(&*index, &(10..40).map(letter).collect::<Vec<_>>(), &[]).await;
    apply(&*index, &[died_again(10, 1), died_again(11, 2), died_again(11, 1), died_again(39, 1)], &[]).await;
    for (n, expected) in
        [(10, true), (110, false), (11, true), (111, true), (211, false), (39, true), (12, false)]
    {
        assert_eq!(state(&*index, n).await == State::Superseded, expected, "{n}");
    }
    // Somebody gave it up before it was known that it died again.
    apply(&*index, &[], &[act(1, &["id-0010", "id-0012"], Deed::Discarded)]).await;
    assert_eq!(state(&*index, 10).await, State::Discarded);
    // And when it is taken back, that it died again meanwhile is not forgotten.
    apply(&*index, &[died_again(12, 1)], &[]).await;
    assert_eq!(state(&*index, 12).await, State::Discarded);
    apply(&*index, &[], &[act(2, &["id-0010", "id-0012"], Deed::Restored)]).await;
    assert_eq!(state(&*index, 10).await, State::Superseded);
    assert_eq!(state(&*index, 12).await, State::Superseded);
}

async fn the_same_job_in_another_stage_is_another(index: Arc<dyn Quarantine>) {
    let elsewhere = Entry { stage: "index".into(), ..died_again(1, 1) };
    let other = Entry { pipeline: "chat".into(), ..died_again(1, 2) };
    apply(&*index, &[letter(1), elsewhere, other], &[]).await;
    assert!(states(&*index).await.values().all(|state| *state == State::Open));
}

async fn a_reclassified_letter_has_another_code_and_the_same_fingerprint(index: Arc<dyn Quarantine>) {
    apply(&*index, &(0..20).map(letter).collect::<Vec<_>>(), &[]).await;
    let code = |code: &str| Deed::Reclassified { code: code.into(), class: "permanent".into() };
    apply(
        &*index,
        &[],
        &[act(1, &["id-0001"], code("document.empty")), act(2, &["id-0001"], code("parse.failed"))],
    )
    .await;
    let entry = &index.find("id-0001").await.expect("works")[0].entry;
    assert_eq!((entry.code.as_str(), entry.class.as_str()), ("parse.failed", "permanent"));
    assert_eq!(entry.fingerprint, "f1");
    let with = |code: &str| Filter { code: Some(code.into()), ..Filter::default() };
    for (code, expected) in [
        ("parse.failed", 1),
        ("parse", 1),
        ("document", 0),
        ("llm", 19),
        ("llm.timeout", 19),
        ("llm.time", 0),
    ] {
        assert_eq!(count(&*index, &with(code)).await, expected, "{code}");
    }
    let permanent = Filter { class: Some("permanent".into()), ..Filter::default() };
    assert_eq!(count(&*index, &permanent).await, 1);
    assert_eq!(groups(&*index).await.len(), 1);
}

async fn the_last_word_on_a_group_counts(index: Arc<dyn Quarantine>) {
    let noted = |text: &str| Deed::Noted { text: text.into() };
    let assigned = |owner: &str| Deed::Assigned { owner: owner.into() };
    apply(&*index, &[letter(1)], &[on_group(5, "f1", noted("second")), on_group(4, "f1", assigned("ada"))])
        .await;
    apply(&*index, &[], &[on_group(3, "f1", noted("first")), on_group(6, "f2", noted("other"))]).await;
    apply(&*index, &[], &[on_group(7, "f1", Deed::Linked { ticket: "T-1".into() })]).await;
    let remarks = &groups(&*index).await[0].remarks;
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    assert_eq!([said(&remarks.note), said(&remarks.owner), said(&remarks.ticket)], ["second", "ada", "T-1"]);
    apply(&*index, &[], &[on_group(8, "f1", noted("")), on_group(9, "f1", assigned(""))]).await;
    let remarks = &groups(&*index).await[0].remarks;
    assert_eq!([&remarks.note, &remarks.owner], [&None, &None]);
}

async fn what_is_said_of_a_letter_is_not_said_of_its_group(index: Arc<dyn Quarantine>) {
    let noted = |text: &str| Deed::Noted { text: text.into() };
    let acts = [
        act(1, &["id-0001", "id-0002"], Deed::Assigned { owner: "ada".into() }),
        act(2, &["id-0002"], noted("this one")),
        on_group(3, "f1", noted("all of them")),
    ];
    apply(&*index, &[letter(1), letter(2)], &acts).await;
    let remarks = async |id: &str| index.find(id).await.expect("works")[0].remarks.clone();
    assert_eq!(remarks("id-0001").await.owner.as_deref(), Some("ada"));
    assert_eq!(remarks("id-0002").await.note.as_deref(), Some("this one"));
    assert_eq!(remarks("id-0001").await.note, None);
    let group = &groups(&*index).await[0].remarks;
    assert_eq!((group.note.as_deref(), group.owner.as_deref()), (Some("all of them"), None));
}

async fn acts_are_found_by_letter_group_operation_and_person_the_latest_first(index: Arc<dyn Quarantine>) {
    let (_, other) = act(4, &["id-0001"], Deed::Restored);
    let other = Act { operation: "op-2".into(), by: "ben".into(), ..other };
    let acts = [
        act(1, &["id-0001", "id-0002"], Deed::Discarded),
        act(2, &["id-0002"], Deed::Noted { text: "hm".into() }),
        on_group(3, "f1", Deed::Resolved),
        (4, other),
    ];
    // They need not be of letters that are known.
    apply(&*index, &[letter(1)], &acts).await;
    let some = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (ActFilter::default(), vec![4, 3, 2, 1]),
        (ActFilter { letter: some("id-0001"), ..ActFilter::default() }, vec![4, 1]),
        (ActFilter { letter: some("id-0002"), ..ActFilter::default() }, vec![2, 1]),
        (ActFilter { letter: some("id-000"), ..ActFilter::default() }, vec![]),
        (ActFilter { group: some("f1"), ..ActFilter::default() }, vec![3]),
        (ActFilter { operation: some("op"), ..ActFilter::default() }, vec![3, 2, 1]),
        (ActFilter { by: some("ben"), ..ActFilter::default() }, vec![4]),
        (ActFilter { by: some("ben"), operation: some("op"), ..ActFilter::default() }, vec![]),
        (ActFilter { since: Some(at(2000)), until: Some(at(4000)), ..ActFilter::default() }, vec![3, 2]),
    ] {
        let found = audit(&*index, &filter, 2).await;
        let ids: Vec<&str> = found.iter().map(|act| act.id.as_str()).collect();
        let expected: Vec<String> = expected.into_iter().map(|n| format!("act-{n}")).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let whole = &audit(&*index, &ActFilter { group: None, ..ActFilter::default() }, 10).await[3];
    assert_eq!(whole, &act(1, &["id-0001", "id-0002"], Deed::Discarded).1);
}

async fn a_group_is_regressed_when_a_letter_died_after_it_was_resolved(index: Arc<dyn Quarantine>) {
    apply(&*index, &[letter(1)], &[on_group(5, "f1", Deed::Resolved)]).await;
    let group = &groups(&*index).await[0];
    assert_eq!((group.resolved_at, group.regressed), (Some(at(5000)), false));
    apply(&*index, &[letter(5)], &[]).await;
    assert!(!groups(&*index).await[0].regressed);
    apply(&*index, &[letter(6)], &[]).await;
    assert!(groups(&*index).await[0].regressed);
    apply(&*index, &[], &[on_group(7, "f1", Deed::Resolved)]).await;
    assert!(!groups(&*index).await[0].regressed);
}

async fn what_kafka_deleted_is_expired_unless_somebody_did_something(index: Arc<dyn Quarantine>) {
    let mut entries: Vec<Entry> = (0..30).map(letter).collect();
    entries[4].at.partition = 1;
    apply(&*index, &entries, &[act(0, &["id-0003"], Deed::Discarded), act(1, &["id-0005"], SENT)]).await;
    let first = |partition: i32, offset: i64| {
        BTreeMap::from([(TopicPartition::new("rag.embed.dlq", partition), offset)])
    };
    assert_eq!(index.expire(first(0, 20)).await.expect("works"), 17);
    assert_eq!(index.expire(first(0, 20)).await.expect("works"), 0);
    assert_eq!(index.expire(first(7, 20)).await.expect("works"), 0);
    let expected = |n: i64| match n {
        3 => State::Discarded,
        5 => State::Redriving,
        4 => State::Open,
        n if n < 20 => State::Expired,
        _ => State::Open,
    };
    for n in 0..30 {
        assert_eq!(state(&*index, n).await, expected(n), "{n}");
    }
    let filter = Filter { states: vec![State::Expired], ..Filter::default() };
    assert_eq!(count(&*index, &filter).await, 17);
    // What is read from a topic is there, until it is looked again where that begins.
    let late = Entry { id: "late".into(), job: "late".into(), ..letter(2) };
    apply(&*index, &[late, letter(1)], &[]).await;
    assert_eq!(index.find("late").await.expect("works")[0].state, State::Open);
    assert_eq!(state(&*index, 1).await, State::Open);
    assert_eq!(index.expire(first(0, 20)).await.expect("works"), 2);
    assert_eq!(state(&*index, 1).await, State::Expired);
}

async fn what_is_known_later_of_an_expired_letter_still_counts(index: Arc<dyn Quarantine>) {
    apply(&*index, &[letter(1), letter(2), letter(3)], &[act(0, &["id-0002"], SENT)]).await;
    index.expire(BTreeMap::from([(TopicPartition::new("rag.embed.dlq", 0), 9)])).await.expect("works");
    assert_eq!(state(&*index, 2).await, State::Redriving);
    apply(&*index, &[died_again(1, 1)], &[act(1, &["id-0002"], settled(Outcome::Returned))]).await;
    assert_eq!(state(&*index, 1).await, State::Superseded);
    assert_eq!(state(&*index, 2).await, State::Expired);
    assert_eq!(state(&*index, 3).await, State::Expired);
}

async fn acts_on_letters_are_told_whole(index: Arc<dyn Quarantine>) {
    let (offset, one) = act(1, &["id-0001", "id-0009", "id-0001"], Deed::Noted { text: "a note".into() });
    let one = Act { group: Some("f1".into()), ..one };
    apply(&*index, &[letter(1)], &[(offset, one.clone())]).await;
    for id in ["id-0001", "id-0009"] {
        assert_eq!(index.acts(id).await.expect("works"), std::slice::from_ref(&one));
    }
    assert!(index.acts("id-000").await.expect("works").is_empty());
    assert_eq!(groups(&*index).await[0].remarks.note.as_deref(), Some("a note"));
}
