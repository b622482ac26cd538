//! What every index must do, as tests over the trait. Each test gets an empty index.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Index, Put, Query, Stats};
use crate::message::payload::{DocumentRef, Evidence, Passage, Passages};

/// Opens an empty index.
pub trait Open: AsyncFn() -> Arc<dyn Index> {}
impl<F: AsyncFn() -> Arc<dyn Index>> Open for F {}

pub fn document(tenant: &str, id: &str, version: i64) -> DocumentRef {
    DocumentRef { id: id.into(), tenant: tenant.into(), version, title: None, source: None, media_type: None }
}

pub fn passage(ordinal: u32, text: &str) -> Passage {
    Passage { ordinal, text: text.into(), heading: None, page: None, embedding: None }
}

/// A document that is one part.
pub fn whole(document: DocumentRef, texts: &[&str]) -> Passages {
    let passages = (0..).zip(texts).map(|(n, text)| passage(n, text)).collect();
    Passages { document, part: 0, parts: 1, passages, model: None }
}

pub async fn put(index: &dyn Index, part: &Passages) -> Put {
    index.put(part).await.expect("the index works")
}

pub async fn find(index: &dyn Index, tenant: &str, text: &str) -> Vec<Evidence> {
    search(index, Query { tenant, text, embedding: &[], limit: 8 }).await
}

async fn search(index: &dyn Index, query: Query<'_>) -> Vec<Evidence> {
    index.search(query).await.expect("the index works")
}

pub fn ids(found: &[Evidence]) -> Vec<&str> {
    found.iter().map(|evidence| evidence.document.id.as_str()).collect()
}

/// Runs everything.
pub async fn contract(open: impl Open) {
    a_version_is_served_once_all_its_parts_are_in(open().await).await;
    a_newer_version_replaces_all_of_the_older_one(open().await).await;
    an_older_version_that_comes_late_is_not_kept(open().await).await;
    parts_of_an_older_version_are_not_left_over(open().await).await;
    the_same_part_again_changes_nothing(open().await).await;
    a_part_made_anew_takes_the_place_of_the_old_one(open().await).await;
    the_same_version_split_otherwise_replaces_it(open().await).await;
    a_document_without_passages_is_served_as_nothing(open().await).await;
    evidence_carries_everything_a_citation_needs(open().await).await;
    a_tenant_never_sees_another_ones_passages(open().await).await;
    words_are_found_in_all_their_forms(open().await).await;
    a_title_counts_more_than_a_mention(open().await).await;
    japanese_is_found_by_words_within_sentences(open().await).await;
    nothing_in_a_question_is_syntax(open().await).await;
    meaning_finds_what_words_do_not(open().await).await;
    a_vector_of_another_model_is_passed_over(open().await).await;
    five_documents_find_room_beside_a_dominant_one(open().await).await;
    the_same_question_has_the_same_answer(open().await).await;
    the_nearest_vectors_are_found_among_many(open().await).await;
    many_passages_of_an_incomplete_version_do_not_hide_those_that_are_served(open().await).await;
}

async fn a_version_is_served_once_all_its_parts_are_in(index: Arc<dyn Index>) {
    let part = |n: u32, text: &str| Passages {
        part: n,
        parts: 3,
        passages: vec![passage(n, text)],
        ..whole(document("t", "d", 1), &[])
    };
    assert_eq!(put(&*index, &part(2, "harbour three")).await, Put::Partial);
    assert_eq!(put(&*index, &part(0, "harbour one")).await, Put::Partial);
    assert_eq!(put(&*index, &part(0, "harbour one")).await, Put::Partial);
    assert!(find(&*index, "t", "harbour").await.is_empty());
    assert_eq!(index.stats().await.expect("works"), Stats::default());
    assert_eq!(put(&*index, &part(1, "harbour two")).await, Put::Complete);
    let found = find(&*index, "t", "harbour").await;
    let ordinals: BTreeSet<_> = found.iter().map(|evidence| evidence.ordinal).collect();
    assert_eq!(ordinals, BTreeSet::from([0, 1, 2]));
    assert_eq!(index.stats().await.expect("works"), Stats { documents: 1, passages: 3 });
}

async fn a_newer_version_replaces_all_of_the_older_one(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "d", 1), &["anchor old", "anchor older", "anchor oldest"])).await;
    let shorter = whole(document("t", "d", 2), &["anchor new"]);
    assert_eq!(put(&*index, &shorter).await, Put::Complete);
    let found = find(&*index, "t", "anchor").await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].text.as_str(), found[0].document.version), ("anchor new", 2));
    assert!(find(&*index, "t", "oldest").await.is_empty());
    assert_eq!(index.stats().await.expect("works"), Stats { documents: 1, passages: 1 });
}

async fn an_older_version_that_comes_late_is_not_kept(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "d", 5), &["rope new"])).await;
    assert_eq!(put(&*index, &whole(document("t", "d", 4), &["rope old"])).await, Put::Superseded);
    assert_eq!(find(&*index, "t", "rope").await[0].text, "rope new");
    assert!(find(&*index, "t", "old").await.is_empty());
}

async fn parts_of_an_older_version_are_not_left_over(index: Arc<dyn Index>) {
    let half = |version: i64, part: u32| Passages {
        part,
        parts: 2,
        ..whole(document("t", "d", version), &[&format!("mast {version} {part}")])
    };
    put(&*index, &half(1, 0)).await;
    put(&*index, &half(3, 0)).await;
    put(&*index, &half(2, 0)).await;
    assert_eq!(put(&*index, &half(2, 1)).await, Put::Complete, "complete before the newer one");
    assert_eq!(put(&*index, &half(1, 1)).await, Put::Superseded);
    assert_eq!(put(&*index, &half(3, 1)).await, Put::Complete);
    let found = find(&*index, "t", "mast").await;
    assert!(found.len() == 2 && found.iter().all(|evidence| evidence.document.version == 3), "{found:?}");
}

async fn the_same_part_again_changes_nothing(index: Arc<dyn Index>) {
    let part = whole(document("t", "d", 1), &["keel one", "keel two"]);
    for _ in 0..3 {
        assert_eq!(put(&*index, &part).await, Put::Complete);
    }
    assert_eq!(find(&*index, "t", "keel").await.len(), 2);
    assert_eq!(index.stats().await.expect("works"), Stats { documents: 1, passages: 2 });
}

async fn a_part_made_anew_takes_the_place_of_the_old_one(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "d", 1), &["oar wooden", "oar long"])).await;
    assert_eq!(put(&*index, &whole(document("t", "d", 1), &["oar carbon"])).await, Put::Complete);
    let found = find(&*index, "t", "oar").await;
    assert_eq!(found.iter().map(|evidence| evidence.text.as_str()).collect::<Vec<_>>(), ["oar carbon"]);
}

async fn the_same_version_split_otherwise_replaces_it(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "d", 1), &["hull in one part"])).await;
    let half =
        |part: u32| Passages { part, parts: 2, ..whole(document("t", "d", 1), &["hull in two parts"]) };
    assert_eq!(put(&*index, &half(0)).await, Put::Partial);
    assert_eq!(find(&*index, "t", "hull").await.len(), 1);
    assert_eq!(put(&*index, &half(1)).await, Put::Complete);
    let found = find(&*index, "t", "hull").await;
    assert!(found.len() == 2 && found.iter().all(|e| e.text.contains("two")), "{found:?}");
}

async fn a_document_without_passages_is_served_as_nothing(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "d", 1), &["deck"])).await;
    assert_eq!(put(&*index, &whole(document("t", "d", 2), &[])).await, Put::Complete);
    assert!(find(&*index, "t", "deck").await.is_empty());
    assert_eq!(index.stats().await.expect("works"), Stats { documents: 1, passages: 0 });
}

async fn evidence_carries_everything_a_citation_needs(index: Arc<dyn Index>) {
    let document = DocumentRef {
        title: Some("The Pilot's Book".into()),
        source: Some("books/pilot.html".into()),
        media_type: Some("text/html".into()),
        ..document("t", "pilot", 9)
    };
    let mut part = whole(document.clone(), &["Buoys are red."]);
    part.passages[0] = Passage {
        ordinal: 4,
        heading: Some("Marks > Buoys".into()),
        page: Some(12),
        ..part.passages[0].clone()
    };
    put(&*index, &part).await;
    let found = find(&*index, "t", "red buoy").await;
    let [found] = found.as_slice() else { panic!("one passage: {found:?}") };
    assert_eq!(found.document, document);
    assert_eq!((found.ordinal, found.page), (4, Some(12)));
    assert_eq!((found.text.as_str(), found.heading.as_deref()), ("Buoys are red.", Some("Marks > Buoys")));
    assert!(found.score > 0.0);
}

async fn a_tenant_never_sees_another_ones_passages(index: Arc<dyn Index>) {
    for tenant in ["a", "b", "a\" OR tenant:\"b", "", "A", "ａ"] {
        let mut part = whole(document(tenant, "same", 1), &["the secret of the sea"]);
        part.passages[0].embedding = Some(vec![1.0, 0.0]);
        part.passages[0].heading = Some(tenant.into());
        put(&*index, &part).await;
    }
    for tenant in ["a", "b", "a\" OR tenant:\"b", "", "A", "ａ"] {
        let query = Query { tenant, text: "secret sea", embedding: &[1.0, 0.0], limit: 50 };
        let found = search(&*index, query).await;
        assert_eq!(found.len(), 1, "{tenant}");
        assert_eq!(found[0].document.tenant, tenant);
        assert_eq!(found[0].heading.as_deref(), Some(tenant));
    }
    let stranger = Query { tenant: "c", text: "secret sea", embedding: &[1.0, 0.0], limit: 50 };
    assert!(search(&*index, stranger).await.is_empty());
}

async fn words_are_found_in_all_their_forms(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "tar", 1), &["Planks are caulked with tar."])).await;
    put(&*index, &whole(document("t", "sail", 1), &["Sails are stitched by hand."])).await;
    assert_eq!(ids(&find(&*index, "t", "How does caulking of a plank work?").await), ["tar"]);
    assert_eq!(ids(&find(&*index, "t", "STITCHING a sail").await), ["sail"]);
}

async fn a_title_counts_more_than_a_mention(index: Arc<dyn Index>) {
    let titled = DocumentRef { title: Some("Compass".into()), ..document("t", "compass", 1) };
    put(&*index, &whole(document("t", "log", 1), &["The compass was mentioned, the compass was seen."]))
        .await;
    put(&*index, &whole(titled, &["It shows north and needs a level place on board."])).await;
    let named = DocumentRef { source: Some("/doc/sextant.md".into()), ..document("t", "sextant", 1) };
    put(&*index, &whole(named, &["Measures angles."])).await;
    assert_eq!(ids(&find(&*index, "t", "what is a compass").await), ["compass", "log"]);
    assert_eq!(ids(&find(&*index, "t", "sextant").await), ["sextant"]);
}

async fn japanese_is_found_by_words_within_sentences(index: Arc<dyn Index>) {
    let texts = [
        ("apt", "パッケージをインストールするには、管理者権限が必要です。"),
        ("net", "ネットワークインターフェースの設定は、このファイルに書きます。"),
        ("key", "署名の検証に使う鍵を更新します。"),
    ];
    for (id, text) in texts {
        put(&*index, &whole(document("t", id, 1), &[text])).await;
    }
    for (question, id) in [
        ("パッケージのインストール方法を教えてください", "apt"),
        ("ﾈｯﾄﾜｰｸの設定はどこに書きますか", "net"),
        ("鍵はどうやって更新しますか？", "key"),
        ("検証", "key"),
    ] {
        assert_eq!(ids(&find(&*index, "t", question).await).first(), Some(&id), "{question}");
    }
}

async fn nothing_in_a_question_is_syntax(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "d", 1), &["a plain text"])).await;
    for question in [
        "\"",
        "\" OR *",
        "*",
        "^plain",
        "plain*",
        "body:plain",
        "NEAR(plain text, 1)",
        "plain AND NOT text",
        "(",
        ")(",
        "{",
        "'; DROP TABLE passages; --",
        "-plain",
        "plain + text",
        "\u{0}plain",
        "tenant : \"t\"",
        "",
        "   ",
        "?!",
        "%",
        "AND",
        "OR",
        "NOT",
        "\\",
        "plain\"\"text",
    ] {
        let query = Query { tenant: "t", text: question, embedding: &[], limit: 8 };
        let found = index.search(query).await;
        let expected = usize::from(question.contains("plain") || question.contains("text"));
        assert_eq!(found.map(|found| found.len()).ok(), Some(expected), "{question:?}");
    }
}

async fn meaning_finds_what_words_do_not(index: Arc<dyn Index>) {
    for (id, embedding) in [("near", [0.8, 0.6]), ("far", [0.0, 1.0]), ("opposite", [-1.0, 0.0])] {
        let mut part = whole(document("t", id, 1), &["no word in common"]);
        part.passages[0].embedding = Some(embedding.to_vec());
        put(&*index, &part).await;
    }
    let query = Query { tenant: "t", text: "vessel", embedding: &[0.96, 0.28], limit: 8 };
    assert_eq!(ids(&search(&*index, query).await), ["near", "far"]);
}

async fn a_vector_of_another_model_is_passed_over(index: Arc<dyn Index>) {
    for (id, embedding) in [("two", vec![1.0, 0.0]), ("three", vec![1.0, 0.0, 0.0])] {
        let mut part = whole(document("t", id, 1), &["tide table"]);
        part.passages[0].embedding = Some(embedding);
        put(&*index, &part).await;
    }
    let by_meaning = Query { tenant: "t", text: "", embedding: &[1.0, 0.0], limit: 8 };
    assert_eq!(ids(&search(&*index, by_meaning).await), ["two"]);
    let both = Query { tenant: "t", text: "tide", embedding: &[1.0, 0.0], limit: 8 };
    assert_eq!(ids(&search(&*index, both).await), ["two", "three"]);
}

async fn five_documents_find_room_beside_a_dominant_one(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "big", 1), &["wind wind wind"; 20])).await;
    for id in ["b", "c", "d", "e"] {
        put(&*index, &whole(document("t", id, 1), &["a little wind in a much longer text about the sea"]))
            .await;
    }
    let found = find(&*index, "t", "wind").await;
    let documents: BTreeSet<_> = ids(&found).into_iter().collect();
    assert_eq!(documents, BTreeSet::from(["b", "big", "c", "d", "e"]));
    assert_eq!(ids(&found)[0], "big");
}

async fn the_same_question_has_the_same_answer(index: Arc<dyn Index>) {
    for n in 0..30 {
        put(&*index, &whole(document("t", &format!("d{n}"), 1), &["all alike"])).await;
    }
    let first = find(&*index, "t", "alike").await;
    assert_eq!(first.len(), 8);
    for _ in 0..3 {
        assert_eq!(find(&*index, "t", "alike").await, first);
    }
}

async fn the_nearest_vectors_are_found_among_many(index: Arc<dyn Index>) {
    let mut state = 1u32;
    let mut unit = |near: Option<&[f32]>| {
        let noise = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut vector: Vec<f32> = (0..64).map(noise).collect();
        for (x, n) in vector.iter_mut().zip(near.unwrap_or_default()) {
            *x = *x * 0.25 + n;
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.into_iter().map(|x| x / length).collect::<Vec<f32>>()
    };
    let question = unit(None);
    let mut part = whole(document("t", "many", 1), &["noise"; 3000]);
    for passage in &mut part.passages {
        passage.embedding = Some(unit((passage.ordinal % 1500 == 7).then_some(&question[..])));
    }
    put(&*index, &part).await;
    let query = Query { tenant: "t", text: "", embedding: &question, limit: 2 };
    let mut found: Vec<_> =
        index.search(query).await.expect("the index works").iter().map(|e| e.ordinal).collect();
    found.sort();
    assert_eq!(found, [7, 1507]);
}

async fn many_passages_of_an_incomplete_version_do_not_hide_those_that_are_served(index: Arc<dyn Index>) {
    put(&*index, &whole(document("t", "served", 1), &["a squall in a longer text of several words"])).await;
    let incomplete = Passages { parts: 2, ..whole(document("t", "large", 1), &["squall"; 600]) };
    assert_eq!(put(&*index, &incomplete).await, Put::Partial);
    assert_eq!(ids(&find(&*index, "t", "squall").await), ["served"]);
}
