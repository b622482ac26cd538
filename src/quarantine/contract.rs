//! What every index of dead letters must do, as tests over the trait. Each test gets an empty index.

mod archive;
mod looks;
mod model;
mod order;
mod runs;
mod standing;
mod tokens;

pub use self::runs::plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Act, ActFilter, Batch, Bucket, By, Cursor, Deed, Entry, Filter, Group, Kept, Known, Origin, Page, Parcel,
    Quarantine, Remarks, Share, State, Stretch, Tokens, TokensOf, Writer,
};
use crate::message::{Coordinates, TopicPartition};

/// Opens an empty index.
pub trait Open: AsyncFn() -> Arc<dyn Quarantine> {}
impl<F: AsyncFn() -> Arc<dyn Quarantine>> Open for F {}

/// Runs everything.
pub async fn contract(open: impl Open) {
    a_letter_comes_back_with_all_it_had(open().await).await;
    a_letter_without_anything_that_may_be_missing_comes_back_so(open().await).await;
    copies_count_once_and_the_last_place_is_kept(open().await).await;
    the_same_batch_again_changes_nothing(open().await).await;
    letters_are_kept_by_one_set_of_masking_rules(open().await).await;
    positions_move_with_the_batch_and_never_back(open().await).await;
    pages_of_any_size_give_every_letter_once(open().await).await;
    letters_that_died_in_one_millisecond_are_told_apart_by_their_ids(open().await).await;
    the_beginning_of_an_id_finds_its_letter(open().await).await;
    nothing_in_a_filter_is_syntax(open().await).await;
    text_is_found_whatever_its_case(open().await).await;
    a_limit_cuts_answers_but_not_counts(open().await).await;
    an_empty_index_has_empty_answers(open().await).await;
    nothing_from_outside_is_too_long_or_strange(open().await).await;
    standing::standing(&open).await;
    tokens::tokens(&open).await;
    archive::archive(&open).await;
    looks::looks(&open).await;
    order::order(&open).await;
    runs::runs(&open).await;
}

/// Milliseconds of a day in 2026, and some more.
pub fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_000 + milliseconds).expect("a time")
}

/// A letter at this offset, which died as many seconds after the beginning.
pub fn letter(n: i64) -> Entry {
    let at_place = Coordinates { topic: "rag.embed.dlq".into(), partition: 0, offset: n, timestamp: Some(n) };
    Entry {
        id: format!("id-{n:04}"),
        writer: Writer::Lazaret,
        at: at_place,
        pipeline: "rag".into(),
        stage: "embed".into(),
        revision: Some("7".into()),
        code: "llm.timeout".into(),
        class: "transient".into(),
        message: format!("no answer within {n}s"),
        chain: vec!["connection reset".into()],
        fingerprint: "f1".into(),
        attempts: 8,
        first_failure: at(n * 1000 - 60_000),
        last_failure: at(n * 1000),
        origin: Some(Origin {
            topic: "documents".into(),
            partition: Some(1),
            offset: Some(n),
            timestamp: Some(5),
        }),
        redrives: 0,
        job: format!("job-{n}"),
        tenant: Some("acme".into()),
        resource: Some("a.pdf".into()),
        trace: Some(format!("{n:032x}")),
        producer: Some("crawler".into()),
        feature: Some("search".into()),
        model: Some("small".into()),
        size: 100,
        spent: None,
    }
}

pub fn act(offset: i64, letters: &[&str], deed: Deed) -> (i64, Act) {
    let act = Act {
        id: format!("act-{offset}"),
        operation: "op".into(),
        at: at(offset * 1000),
        by: "ada".into(),
        reason: Some("because".into()),
        letters: letters.iter().map(|id| (*id).to_owned()).collect(),
        group: None,
        deed,
    };
    (offset, act)
}

/// An object of the archive.
pub fn parcel(object: &str) -> Parcel {
    Parcel {
        object: object.into(),
        sha256: "ab".repeat(32),
        bytes: 7,
        letters: 1,
        pipeline: "rag".into(),
        stage: "embed".into(),
        topic: "rag.embed.dlq".into(),
        partition: 0,
        first_offset: 1,
        last_offset: 1,
        from: at(0),
        to: at(1),
    }
}

pub fn on_group(offset: i64, group: &str, deed: Deed) -> (i64, Act) {
    let (offset, act) = act(offset, &[], deed);
    (offset, Act { group: Some(group.into()), ..act })
}

pub async fn apply(index: &dyn Quarantine, entries: &[Entry], acts: &[(i64, Act)]) {
    let batch = Batch { entries: entries.to_vec(), acts: acts.to_vec(), ..Batch::default() };
    index.apply(batch).await.expect("the index works");
}

/// All letters, by pages.
pub async fn all(index: &dyn Quarantine, filter: &Filter, size: usize) -> Vec<Known> {
    let (mut letters, mut after) = (Vec::new(), None);
    loop {
        let page = index.list(filter, after.as_ref(), size).await.expect("the index works");
        assert!(page.letters.len() <= size);
        letters.extend(page.letters);
        match page.next {
            Some(next) => after = Some(next),
            None => return letters,
        }
    }
}

/// All acts that pass, by pages.
pub async fn audit(index: &dyn Quarantine, filter: &ActFilter, size: usize) -> Vec<Act> {
    let (mut acts, mut after) = (Vec::new(), None);
    loop {
        let page = index.audit(filter, after.as_ref(), size).await.expect("the index works");
        assert!(page.acts.len() <= size);
        acts.extend(page.acts);
        match page.next {
            Some(next) => after = Some(next),
            None => return acts,
        }
    }
}

pub async fn states(index: &dyn Quarantine) -> BTreeMap<String, State> {
    let letters = all(index, &Filter::default(), 1000).await;
    letters.into_iter().map(|known| (known.entry.id, known.state)).collect()
}

pub async fn count(index: &dyn Quarantine, filter: &Filter) -> u64 {
    index.count(filter).await.expect("the index works")
}

pub async fn groups(index: &dyn Quarantine) -> Vec<Group> {
    index.groups(&Filter::default(), 1000).await.expect("the index works")
}

async fn a_letter_comes_back_with_all_it_had(index: Arc<dyn Quarantine>) {
    let entry = Entry { redrives: 3, ..letter(1) };
    apply(&*index, std::slice::from_ref(&entry), &[]).await;
    let remarks = Remarks::default();
    let (state, kept) = (State::Open, Kept::Kafka);
    let expected = [Known { entry, state, looked_at: false, remarks, kept, archived: None, edit: None }];
    assert_eq!(all(&*index, &Filter::default(), 10).await, expected);
    assert_eq!(index.find("id-").await.expect("the index works"), expected);
}

async fn a_letter_without_anything_that_may_be_missing_comes_back_so(index: Arc<dyn Quarantine>) {
    let mut entry = letter(1);
    entry.at.timestamp = None;
    let bare = Entry {
        writer: Writer::Unknown,
        pipeline: String::new(),
        stage: String::new(),
        revision: None,
        class: String::new(),
        chain: Vec::new(),
        origin: None,
        tenant: None,
        resource: None,
        trace: None,
        producer: None,
        feature: None,
        model: None,
        size: 0,
        spent: None,
        ..entry
    };
    apply(&*index, std::slice::from_ref(&bare), &[]).await;
    assert_eq!(all(&*index, &Filter::default(), 10).await[0].entry, bare);
    for by in
        [By::Tenant, By::Resource, By::Feature, By::Model, By::Producer, By::Version, By::Class, By::Stage]
    {
        let (first, last) = (bare.last_failure, bare.last_failure);
        let none = Share { value: None, count: 1, first, last, tokens: None, by_stage: Vec::new() };
        assert_eq!(index.shares(&Filter::default(), by, 10).await.expect("works"), [none], "{by:?}");
    }
    assert_eq!(groups(&*index).await[0].tenants, 0);
}

async fn copies_count_once_and_the_last_place_is_kept(index: Arc<dyn Quarantine>) {
    let copy = |partition: i32, offset: i64| {
        let mut copy = letter(1);
        (copy.at.partition, copy.at.offset) = (partition, offset);
        copy
    };
    for (copy, kept) in [
        (copy(1, 50), (1, 50)),
        (copy(1, 7), (1, 50)),
        (copy(1, 60), (1, 60)),
        (copy(0, 90), (1, 60)),
        (copy(2, 1), (2, 1)),
    ] {
        apply(&*index, &[copy], &[]).await;
        let letters = all(&*index, &Filter::default(), 10).await;
        assert_eq!(letters.len(), 1);
        assert_eq!((letters[0].entry.at.partition, letters[0].entry.at.offset), kept);
        assert_eq!(count(&*index, &Filter::default()).await, 1);
        assert_eq!(groups(&*index).await[0].count, 1);
    }
    apply(&*index, &[copy(2, 6), copy(2, 8), copy(2, 7)], &[]).await;
    assert_eq!(index.find("id-0001").await.expect("works")[0].entry.at.offset, 8);
}

async fn the_same_batch_again_changes_nothing(index: Arc<dyn Quarantine>) {
    let entries: Vec<Entry> = (0..40).map(letter).collect();
    let acts = [act(0, &["id-0003", "id-0020"], Deed::Discarded), on_group(1, "f1", Deed::Resolved)];
    let mut before = None;
    for _ in 0..3 {
        apply(&*index, &entries, &acts).await;
        let now = model::answers(&*index).await;
        assert_eq!(before.get_or_insert_with(|| now.clone()), &now);
    }
    assert_eq!(index.acts("id-0003").await.expect("works").len(), 1);
}

async fn letters_are_kept_by_one_set_of_masking_rules(index: Arc<dyn Quarantine>) {
    let positions = BTreeMap::from([(TopicPartition::new("rag.embed.dlq", 0), 1)]);
    let batch = |rules: &str| Batch {
        entries: vec![letter(1)],
        rules: rules.into(),
        positions: positions.clone(),
        ..Batch::default()
    };
    assert!(!index.adopt("").await.expect("works"), "there were none before");
    index.apply(batch("")).await.expect("taken in");
    let refused = index.apply(batch("new")).await.expect_err("refused").0;
    assert!(refused.contains("masking rules"), "{refused}");
    assert!(index.adopt("new").await.expect("works"));
    assert_eq!(count(&*index, &Filter::default()).await, 0, "all is forgotten");
    assert!(index.positions().await.expect("works").is_empty());
    assert!(index.apply(batch("")).await.is_err(), "a process that has not heard of the new rules");
    index.apply(batch("new")).await.expect("taken in");
    index.clear().await.expect("works");
    index.apply(batch("new")).await.expect("the rules are not forgotten");
    assert!(!index.adopt("new").await.expect("works"));
    assert_eq!(count(&*index, &Filter::default()).await, 1);
}

async fn positions_move_with_the_batch_and_never_back(index: Arc<dyn Quarantine>) {
    let positions = |a: i64, b: i64| {
        BTreeMap::from([(TopicPartition::new("a.dlq", 0), a), (TopicPartition::new("a.dlq", 1), b)])
    };
    assert!(index.positions().await.expect("works").is_empty());
    for (moved, expected) in [
        (positions(5, 1), positions(5, 1)),
        (positions(4, 9), positions(5, 9)),
        (positions(7, 9), positions(7, 9)),
    ] {
        index.apply(Batch { positions: moved, ..Batch::default() }).await.expect("works");
        assert_eq!(index.positions().await.expect("works"), expected);
    }
    index.clear().await.expect("works");
    assert!(index.positions().await.expect("works").is_empty());
}

async fn pages_of_any_size_give_every_letter_once(index: Arc<dyn Quarantine>) {
    let mut entries: Vec<Entry> = (0..50).map(letter).collect();
    // Some died in the same millisecond.
    entries[20..31].iter_mut().for_each(|entry| entry.last_failure = at(20_000));
    apply(&*index, &entries, &[]).await;
    entries.sort_by(|a, b| b.last_failure.cmp(&a.last_failure).then_with(|| a.id.cmp(&b.id)));
    let expected: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    for size in [1, 2, 3, 7, 11, 16, 49, 50, 51, 1000] {
        let letters = all(&*index, &Filter::default(), size).await;
        let ids: Vec<&str> = letters.iter().map(|known| known.entry.id.as_str()).collect();
        assert_eq!(ids, expected, "{size}");
    }

    // Later deaths come in while somebody turns pages.
    let (mut after, mut ids, mut n) = (None, Vec::new(), 1000);
    loop {
        let page = index.list(&Filter::default(), after.as_ref(), 4).await.expect("works");
        ids.extend(page.letters.into_iter().map(|known| known.entry.id));
        let Some(next) = page.next else { break };
        after = Some(next);
        apply(&*index, &[letter(n), letter(n + 1)], &[]).await;
        n += 2;
    }
    assert_eq!(ids, expected);
}

async fn letters_that_died_in_one_millisecond_are_told_apart_by_their_ids(index: Arc<dyn Quarantine>) {
    let entries: Vec<Entry> = (0..70)
        .map(|n| Entry { last_failure: at(0), message: format!("m{n}"), ..letter((n * 37) % 70) })
        .collect();
    apply(&*index, &entries, &[]).await;
    for size in [1, 5, 16, 100] {
        let letters = all(&*index, &Filter::default(), size).await;
        let ids: Vec<String> = letters.into_iter().map(|known| known.entry.id).collect();
        assert_eq!(ids, (0..70).map(|n| format!("id-{n:04}")).collect::<Vec<_>>(), "{size}");
    }
    // What comes first in the list speaks for the group.
    assert_eq!(groups(&*index).await[0].message, "m0");
}

async fn the_beginning_of_an_id_finds_its_letter(index: Arc<dyn Quarantine>) {
    let with_id = |n: i64, id: &str| Entry { id: id.into(), ..letter(n) };
    apply(&*index, &[with_id(1, "abc1"), with_id(2, "abc2"), with_id(3, "abd"), with_id(4, "a%")], &[]).await;
    let find = async |prefix: &str| {
        let found = index.find(prefix).await.expect("the index works");
        found.into_iter().map(|known| known.entry.id).collect::<Vec<_>>()
    };
    assert_eq!(find("abd").await, ["abd"]);
    assert_eq!(find("abc1").await, ["abc1"]);
    assert_eq!(find("abc").await, ["abc1", "abc2"]);
    assert_eq!(find("").await.len(), 2);
    assert_eq!(find("a%").await, ["a%"]);
    assert!(find("b").await.is_empty() && find("abd2").await.is_empty());
}

async fn nothing_in_a_filter_is_syntax(index: Arc<dyn Quarantine>) {
    let strange = ["'", "\"; DROP TABLE letters; --", "%", "_", "\\", "100%_sure", "ß", "\u{10ffff}"];
    let mut entries = vec![letter(100)];
    for (n, text) in (0..).zip(strange) {
        let name = || Some(text.to_owned());
        entries.push(Entry {
            job: text.into(),
            tenant: name(),
            resource: name(),
            trace: name(),
            stage: text.into(),
            pipeline: text.into(),
            code: text.into(),
            fingerprint: text.into(),
            message: format!("a {text} b"),
            ..letter(n)
        });
    }
    apply(&*index, &entries, &[]).await;
    for text in strange {
        let name = || Some(text.to_owned());
        for filter in [
            Filter { job: name(), ..Filter::default() },
            Filter { tenant: name(), ..Filter::default() },
            Filter { resource: name(), ..Filter::default() },
            Filter { trace: name(), ..Filter::default() },
            Filter { stage: name(), ..Filter::default() },
            Filter { pipeline: name(), ..Filter::default() },
            Filter { code: name(), ..Filter::default() },
            Filter { fingerprint: name(), ..Filter::default() },
            Filter { text: Some(format!("A {text} b")), ..Filter::default() },
        ] {
            assert_eq!(count(&*index, &filter).await, 1, "{filter:?}");
        }
    }
}

async fn text_is_found_whatever_its_case(index: Arc<dyn Quarantine>) {
    let with = |n: i64, message: &str| Entry { message: message.into(), ..letter(n) };
    apply(&*index, &[with(1, "Über dem Riff"), with(2, "über den Bergen"), with(3, "elsewhere")], &[]).await;
    let found =
        async |text: &str| count(&*index, &Filter { text: Some(text.into()), ..Filter::default() }).await;
    assert_eq!(found("ÜBER DE").await, 2);
    assert_eq!(found("riff").await, 1);
    assert_eq!(found("").await, 3);
    assert_eq!(found("nowhere").await, 0);
}

async fn a_limit_cuts_answers_but_not_counts(index: Arc<dyn Quarantine>) {
    let entries: Vec<Entry> = (0..60)
        .map(|n| Entry {
            fingerprint: format!("f{}", n % 7),
            tenant: Some(format!("t{:02}", n % 30)),
            ..letter(n)
        })
        .collect();
    apply(&*index, &entries, &[]).await;
    let groups = index.groups(&Filter::default(), 3).await.expect("works");
    let prints: Vec<&str> = groups.iter().map(|group| group.fingerprint.as_str()).collect();
    assert_eq!(prints, ["f3", "f2", "f1"]);
    let shares = index.shares(&Filter::default(), By::Tenant, 2).await.expect("works");
    let tenants: Vec<_> = shares.iter().map(|share| (share.value.as_deref(), share.count)).collect();
    assert_eq!(tenants, [(Some("t29"), 2), (Some("t28"), 2)]);
    assert_eq!(index.list(&Filter::default(), None, 5).await.expect("works").letters.len(), 5);
    let none = index.list(&Filter::default(), None, 0).await.expect("works");
    assert!(none.letters.is_empty());
    assert!(index.groups(&Filter::default(), 0).await.expect("works").is_empty());
    assert_eq!(count(&*index, &Filter::default()).await, 60);
}

async fn an_empty_index_has_empty_answers(index: Arc<dyn Quarantine>) {
    let all = Filter::default();
    assert_eq!(index.list(&all, None, 10).await.expect("works"), Page::default());
    assert_eq!(index.groups(&all, 10).await.expect("works"), []);
    assert_eq!(index.shares(&all, By::Tenant, 10).await.expect("works"), []);
    assert_eq!(index.trend(&all).await.expect("works"), [] as [Bucket; 0]);
    let stretch = Stretch::of_hours(at(0), 24);
    assert!(index.trends(&all, &stretch).await.expect("works").is_empty());
    assert_eq!(index.oldest_record(&all).await.expect("works"), None);
    assert_eq!(index.group_acts("x").await.expect("works"), []);
    assert_eq!(index.find("x").await.expect("works"), []);
    assert_eq!(index.acts("x").await.expect("works"), []);
    assert!(index.audit(&ActFilter::default(), None, 10).await.expect("works").acts.is_empty());
    assert_eq!(index.expire(BTreeMap::from([(TopicPartition::new("a", 0), 9)])).await.expect("works"), 0);
    apply(&*index, &[], &[]).await;
    let cursor = Cursor { died: 0, id: String::new() };
    assert_eq!(index.list(&all, Some(&cursor), 10).await.expect("works"), Page::default());
}

async fn nothing_from_outside_is_too_long_or_strange(index: Arc<dyn Quarantine>) {
    let long = "ä\0".repeat(20_000);
    let some = || Some(long.clone());
    let huge = Entry {
        id: long.clone(),
        job: long.clone(),
        tenant: some(),
        resource: some(),
        trace: some(),
        code: long.clone(),
        message: long.clone(),
        chain: vec![long.clone()],
        fingerprint: long.clone(),
        size: u64::MAX,
        last_failure: Timestamp::MIN,
        ..letter(1)
    };
    apply(&*index, &[huge, letter(2)], &[act(0, &[&long], Deed::Discarded)]).await;
    let filter = Filter { tenant: some(), job: some(), text: some(), ..Filter::default() };
    assert_eq!(count(&*index, &filter).await, 1);
    assert_eq!(all(&*index, &filter, 10).await[0].state, State::Discarded);
    assert_eq!(index.acts(&long).await.expect("works")[0].letters, [long]);
}
