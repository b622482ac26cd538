//! Which letters somebody has looked at, and how the oldest of a group stand.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Open, act, apply, at, groups, letter, on_group};
use crate::quarantine::{Act, BY_INDEX, Deed, Entry, Filter, Outcome, Quarantine, State, Stretch};

pub async fn looks(open: &impl Open) {
    whatever_a_person_does_with_a_letter_is_a_look_at_it(open().await).await;
    a_look_at_a_group_counts_for_all_its_letters_until_it_is_resolved(open().await).await;
    a_group_knows_the_oldest_that_is_open_and_the_oldest_that_nobody_has_looked_at(open().await).await;
    the_oldest_record_of_what_is_open_is_the_first_that_kafka_deletes(open().await).await;
    a_trend_of_every_group_comes_from_one_question(open().await).await;
    acts_on_a_group_are_told_in_order(open().await).await;
}

fn by(name: &str, (offset, act): (i64, Act)) -> (i64, Act) {
    (offset, Act { by: name.into(), ..act })
}

async fn unseen(index: &dyn Quarantine) -> Vec<String> {
    let filter = Filter { looked_at: Some(false), ..Filter::default() };
    let mut ids: Vec<String> =
        super::all(index, &filter, 1000).await.into_iter().map(|known| known.entry.id).collect();
    assert_eq!(super::count(index, &filter).await, ids.len() as u64);
    let seen = Filter { looked_at: Some(true), ..Filter::default() };
    assert!(super::all(index, &seen, 1000).await.iter().all(|known| known.looked_at));
    ids.sort();
    ids
}

async fn whatever_a_person_does_with_a_letter_is_a_look_at_it(index: Arc<dyn Quarantine>) {
    // Enough letters for some to be in full stripes and some not.
    apply(&*index, &(0..20).map(letter).collect::<Vec<_>>(), &[]).await;
    assert_eq!(unseen(&*index).await.len(), 20);
    let settled = Deed::Settled { outcome: Outcome::Returned };
    let acts = [
        act(0, &["id-0001", "id-0018"], Deed::Noted { text: "hm".into() }),
        by("rule:night", act(1, &["id-0002"], Deed::Redriven)),
        by(BY_INDEX, act(2, &["id-0002"], settled)),
        act(3, &["id-0003"], Deed::Discarded),
    ];
    apply(&*index, &[], &acts).await;
    let unseen = unseen(&*index).await;
    assert_eq!(unseen.len(), 17);
    assert!(unseen.contains(&"id-0002".to_owned()), "a rule does not look");
}

async fn a_look_at_a_group_counts_for_all_its_letters_until_it_is_resolved(index: Arc<dyn Quarantine>) {
    let other = Entry { fingerprint: "f2".into(), ..letter(9) };
    apply(&*index, &[letter(1), letter(2), other], &[]).await;
    apply(&*index, &[], &[by("rule:night", on_group(1, "f1", Deed::Assigned { owner: "ada".into() }))]).await;
    assert_eq!(unseen(&*index).await.len(), 3, "a rule does not look");
    apply(&*index, &[letter(3)], &[on_group(2, "f1", Deed::Linked { ticket: "T-1".into() })]).await;
    assert_eq!(unseen(&*index).await, ["id-0009"]);
    assert!(index.find("id-0003").await.expect("works")[0].looked_at, "it came later and is known");
    apply(&*index, &[letter(5), letter(6)], &[on_group(5, "f1", Deed::Resolved)]).await;
    assert_eq!(unseen(&*index).await, ["id-0006", "id-0009"], "what died after that is another matter");
    apply(&*index, &[], &[on_group(6, "f1", Deed::Noted { text: "again".into() })]).await;
    assert_eq!(unseen(&*index).await, ["id-0009"]);
}

async fn a_group_knows_the_oldest_that_is_open_and_the_oldest_that_nobody_has_looked_at(
    index: Arc<dyn Quarantine>,
) {
    apply(&*index, &(1..40).map(letter).collect::<Vec<_>>(), &[]).await;
    let oldest = async || {
        let group = groups(&*index).await.remove(0);
        let second = |time: Option<Timestamp>| time.map(|time| time.duration_since(at(0)).as_secs());
        (second(group.oldest_open), second(group.oldest_unseen))
    };
    assert_eq!(oldest().await, (Some(1), Some(1)));
    apply(&*index, &[], &[act(0, &["id-0001"], Deed::Noted { text: "hm".into() })]).await;
    assert_eq!(oldest().await, (Some(1), Some(2)));
    apply(&*index, &[], &[act(1, &["id-0001", "id-0002"], Deed::Discarded)]).await;
    assert_eq!(oldest().await, (Some(3), Some(3)));
    apply(&*index, &[], &[by("rule:night", act(2, &["id-0003"], Deed::Redriven))]).await;
    assert_eq!(oldest().await, (Some(3), Some(3)), "what is being redriven is not over");
    apply(&*index, &[], &[on_group(3, "f1", Deed::Assigned { owner: "ada".into() })]).await;
    assert_eq!(oldest().await, (Some(3), None));
}

async fn the_oldest_record_of_what_is_open_is_the_first_that_kafka_deletes(index: Arc<dyn Quarantine>) {
    let logged = |n: i64, timestamp: Option<i64>| {
        let mut entry = letter(n);
        entry.at.timestamp = timestamp;
        entry
    };
    let entries = [logged(1, Some(700)), logged(2, Some(300)), logged(3, Some(500)), logged(4, None)];
    apply(&*index, &entries, &[act(0, &["id-0002"], Deed::Redriven)]).await;
    let open = |n: &str| Filter { states: vec![State::Open], job: Some(n.into()), ..Filter::default() };
    let time = |ms: i64| Timestamp::from_millisecond(ms).expect("a time");
    assert_eq!(groups(&*index).await[0].oldest_record, Some(time(500)));
    let all_open = Filter { states: vec![State::Open], ..Filter::default() };
    assert_eq!(index.oldest_record(&all_open).await.expect("works"), Some(time(500)));
    assert_eq!(index.oldest_record(&open("job-2")).await.expect("works"), None);
    let by_death = index.oldest_record(&open("job-4")).await.expect("works");
    assert_eq!(by_death, Some(at(4000)), "without a time of its own the death counts");
}

async fn a_trend_of_every_group_comes_from_one_question(index: Arc<dyn Quarantine>) {
    let entries: Vec<Entry> =
        (0..50).map(|n| Entry { fingerprint: format!("f{}", n % 2), ..letter(n) }).collect();
    apply(&*index, &entries, &[]).await;
    let stretch = Stretch::between(at(10_000), at(30_000), 2);
    let trends = index.trends(&Filter::default(), &stretch).await.expect("works");
    let told: Vec<(&str, &[u64])> = trends.iter().map(|(name, n)| (name.as_str(), n.as_slice())).collect();
    assert_eq!(told, [("f0", [5, 5].as_slice()), ("f1", &[5, 5])]);
    let one = Filter { fingerprint: Some("f1".into()), since: Some(at(21_000)), ..Filter::default() };
    let trends = index.trends(&one, &stretch).await.expect("works");
    assert_eq!(trends.into_iter().collect::<Vec<_>>(), [("f1".to_owned(), vec![0, 5])]);
}

async fn acts_on_a_group_are_told_in_order(index: Arc<dyn Quarantine>) {
    apply(&*index, &[], &[on_group(5, "f1", Deed::Resolved), on_group(4, "f2", Deed::Resolved)]).await;
    apply(&*index, &[], &[on_group(2, "f1", Deed::Linked { ticket: "T-1".into() })]).await;
    let acts = index.group_acts("f1").await.expect("works");
    assert_eq!(acts.iter().map(|act| act.id.as_str()).collect::<Vec<_>>(), ["act-2", "act-5"]);
    assert!(index.group_acts("f3").await.expect("works").is_empty());
}
