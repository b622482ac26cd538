//! What is archived stays known, and where it can be read follows from the acts and from what Kafka has.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Open, act, apply, count, letter, parcel};
use crate::message::TopicPartition;
use crate::quarantine::{Batch, Deed, Entry, Filter, Kept, Known, Quarantine, State};

pub async fn archive(open: &impl Open) {
    what_is_archived_stays_open_when_kafka_has_deleted_it(open().await).await;
    a_copy_on_its_topic_brings_back_a_letter_that_was_gone(open().await).await;
    what_is_known_from_elsewhere_is_gone_until_it_turns_up(open().await).await;
    objects_are_listed_as_long_as_they_stand(open().await).await;
    bytes_are_those_of_what_passes(open().await).await;
}

fn archived(object: &str) -> Deed {
    Deed::Archived { parcel: Box::new(parcel(object)) }
}

async fn gone_below(index: &dyn Quarantine, offset: i64) -> u64 {
    let first = BTreeMap::from([(TopicPartition::new("rag.embed.dlq", 0), offset)]);
    index.expire(first).await.expect("works")
}

async fn get(index: &dyn Quarantine, n: i64) -> Known {
    index.find(&format!("id-{n:04}")).await.expect("works").remove(0)
}

async fn what_is_archived_stays_open_when_kafka_has_deleted_it(index: Arc<dyn Quarantine>) {
    // Some are in a full stripe and some not.
    let entries: Vec<Entry> = (0..20).map(letter).collect();
    apply(&*index, &entries, &[act(1, &["id-0001", "id-0018"], archived("a"))]).await;
    assert_eq!((get(&*index, 1).await.kept, get(&*index, 2).await.kept), (Kept::Both, Kept::Kafka));
    assert_eq!(gone_below(&*index, 19).await, 17);
    for n in [1, 18] {
        let known = get(&*index, n).await;
        assert_eq!((known.state, known.kept), (State::Open, Kept::Archive));
        assert_eq!(known.archived.expect("a copy").object, "a");
    }
    assert_eq!((get(&*index, 2).await.state, get(&*index, 2).await.kept), (State::Expired, Kept::Nowhere));
    let kept = |kept: &[Kept]| Filter { kept: kept.to_vec(), ..Filter::default() };
    for (wanted, expected) in [
        (vec![Kept::Archive], 2),
        (vec![Kept::Nowhere], 17),
        (vec![Kept::Kafka], 1),
        (vec![Kept::Both], 0),
        (vec![Kept::Archive, Kept::Kafka], 3),
    ] {
        assert_eq!(count(&*index, &kept(&wanted)).await, expected, "{wanted:?}");
    }
    // An act that comes late counts as well.
    apply(&*index, &[], &[act(2, &["id-0002"], archived("b"))]).await;
    assert_eq!(get(&*index, 2).await.state, State::Open);
    apply(&*index, &[], &[act(3, &["id-0001", "id-0018"], Deed::Unarchived { object: "a".into() })]).await;
    let lost = get(&*index, 1).await;
    assert_eq!((lost.state, lost.kept, lost.archived), (State::Expired, Kept::Nowhere, None));
}

async fn a_copy_on_its_topic_brings_back_a_letter_that_was_gone(index: Arc<dyn Quarantine>) {
    apply(&*index, &[letter(1), letter(2)], &[act(1, &["id-0001"], archived("a"))]).await;
    gone_below(&*index, 9).await;
    let copy = |n: i64, offset: i64| {
        let mut copy = letter(n);
        (copy.at.offset, copy.at.timestamp) = (offset, Some(1000 + offset));
        copy
    };
    apply(&*index, &[copy(1, 20)], &[]).await;
    let known = get(&*index, 1).await;
    assert_eq!((known.state, known.kept, known.entry.at.offset), (State::Open, Kept::Both, 20));
    assert_eq!(known.entry.logged(), 1020);
    assert_eq!(count(&*index, &Filter::default()).await, 2, "there is one of each");
    // What the archive has of it stood earlier, and changes nothing.
    apply(&*index, &[letter(1)], &[]).await;
    assert_eq!(get(&*index, 1).await.entry.at.offset, 20);
    gone_below(&*index, 21).await;
    assert_eq!(get(&*index, 1).await.kept, Kept::Archive);
    // The same as one that reads only the later copy before it learns that the first is gone.
    apply(&*index, &[copy(2, 30)], &[]).await;
    gone_below(&*index, 25).await;
    assert_eq!((get(&*index, 2).await.state, get(&*index, 2).await.kept), (State::Open, Kept::Kafka));
}

async fn what_is_known_from_elsewhere_is_gone_until_it_turns_up(index: Arc<dyn Quarantine>) {
    let elsewhere = |n: i64| Batch { entries: vec![letter(n)], gone: true, ..Batch::default() };
    apply(&*index, &[letter(2)], &[act(1, &["id-0001", "id-0002"], archived("a"))]).await;
    index.apply(elsewhere(1)).await.expect("works");
    index.apply(elsewhere(2)).await.expect("works");
    assert_eq!((get(&*index, 1).await.state, get(&*index, 1).await.kept), (State::Open, Kept::Archive));
    assert_eq!(get(&*index, 2).await.kept, Kept::Both, "what stands on its topic is there");
    // In a topic that was made anew it may stand before where it stood.
    let mut copy = letter(1);
    copy.at.offset = 0;
    apply(&*index, &[copy], &[]).await;
    assert_eq!((get(&*index, 1).await.kept, get(&*index, 1).await.entry.at.offset), (Kept::Both, 0));
    assert_eq!(count(&*index, &Filter::default()).await, 2, "there is one of each");
}

async fn objects_are_listed_as_long_as_they_stand(index: Arc<dyn Quarantine>) {
    let acts = [
        act(1, &["id-0001", "id-0002"], archived("b")),
        act(2, &["id-0003"], archived("a")),
        act(3, &["id-0004"], archived("c")),
        act(4, &["id-0003"], Deed::Unarchived { object: "a".into() }),
        act(5, &["id-0003"], archived("a")),
        act(6, &["id-0004"], Deed::Unarchived { object: "c".into() }),
    ];
    apply(&*index, &[], &acts).await;
    let names = async |after: &str, limit: usize| {
        let parcels = index.parcels(after, limit).await.expect("works").into_iter();
        parcels.map(|parcel| parcel.object).collect::<Vec<_>>()
    };
    assert_eq!(names("", 10).await, ["a", "b"]);
    assert_eq!(names("", 1).await, ["a"]);
    assert_eq!(names("a", 10).await, ["b"]);
    assert!(names("b", 10).await.is_empty());
    assert_eq!(index.parcels("a", 10).await.expect("works"), [parcel("b")]);
    let ids = async |object: &str| index.parcel(object).await.expect("works").map(|(_, ids)| ids);
    assert_eq!(ids("b").await, Some(vec!["id-0001".to_owned(), "id-0002".to_owned()]));
    assert_eq!((ids("c").await, ids("x").await), (None, None));
    index.clear().await.expect("works");
    assert!(names("", 10).await.is_empty());
}

async fn bytes_are_those_of_what_passes(index: Arc<dyn Quarantine>) {
    let entries: Vec<Entry> = (0..20).map(|n| Entry { size: 1 << n, ..letter(n) }).collect();
    apply(&*index, &entries, &[]).await;
    gone_below(&*index, 3).await;
    let bytes = async |filter: &Filter| index.bytes(filter).await.expect("works");
    assert_eq!(bytes(&Filter::default()).await, (1 << 20) - 1);
    let standing = Filter { kept: Kept::IN_KAFKA.to_vec(), ..Filter::default() };
    assert_eq!(bytes(&standing).await, (1 << 20) - 1 - 7);
}
