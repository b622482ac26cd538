use std::sync::Arc;

use super::*;
use crate::quarantine::contract::{act, letter};
use crate::quarantine::sqlite::SqliteQuarantine;
use crate::quarantine::{Act, Batch, Entry, Filter};

/// An index with twenty letters of one group, of which two were given up.
async fn index() -> (Arc<dyn Quarantine>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let index = SqliteQuarantine::open(&folder.path().join("quarantine.db")).expect("an index");
    let entries: Vec<Entry> = (0..20).map(letter).collect();
    let acts: Vec<(i64, Act)> = vec![act(1, &["id-0003", "id-0004"], Deed::Discarded)];
    index.apply(Batch { entries, acts, ..Batch::default() }).await.expect("applied");
    (Arc::new(index), folder)
}

fn change(deed: Deed) -> Change {
    Change { deed, by: "ada".into(), reason: Some("because".into()) }
}

fn note() -> Deed {
    Deed::Noted { text: "ask the customer".into() }
}

fn ids(ids: &[&str]) -> Target {
    Target::Letters(ids.iter().map(|id| (*id).to_owned()).collect())
}

#[tokio::test]
async fn named_letters_are_found_by_the_beginning_of_their_ids_and_count_once() {
    let (index, _folder) = index().await;
    let target = ids(&["id-0007", "id-0002", "id-0007"]);
    let prepared = change(note()).prepare(&*index, &target, 10).await.expect("prepared");
    assert_eq!(prepared.letters, ["id-0007", "id-0002"]);
    assert_eq!((prepared.count(), prepared.first.len()), (2, 2));
    for (wrong, why) in [("id-9", "there is no dead letter"), ("id-000", "several dead letters")] {
        let error = change(note()).prepare(&*index, &ids(&["id-0001", wrong]), 10).await.expect_err(wrong);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn all_that_pass_are_taken_unless_they_are_more_than_was_allowed() {
    let (index, _folder) = index().await;
    let open = Target::Those(Box::new(Filter { states: vec![State::Open], ..Filter::default() }));
    let prepared = change(note()).prepare(&*index, &open, 18).await.expect("prepared");
    assert_eq!((prepared.letters.len(), prepared.groups.len()), (18, 0));
    let error = change(note()).prepare(&*index, &open, 17).await.expect_err("too many").to_string();
    assert!(error.contains("18 dead letters") && error.contains("--max 18"), "{error}");
    let nobody = Target::Those(Box::new(Filter { tenant: Some("nobody".into()), ..Filter::default() }));
    let error = change(note()).prepare(&*index, &nobody, 10).await;
    assert!(matches!(error, Err(ChangeError::Selection(SelectionError::NotFound(_)))), "{error:?}");
}

#[tokio::test]
async fn only_what_was_discarded_is_restored_and_all_or_none() {
    let (index, _folder) = index().await;
    let restored = change(Deed::Restored).prepare(&*index, &ids(&["id-0003", "id-0004"]), 10).await;
    assert_eq!(restored.expect("prepared").letters, ["id-0003", "id-0004"]);
    let refused = change(Deed::Restored).prepare(&*index, &ids(&["id-0003", "id-0005"]), 10).await;
    let Err(ChangeError::Refused(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why.len(), 1);
    assert!(why[0].message.contains("id-0005 is open"), "{}", why[0]);
}

#[tokio::test]
async fn a_group_is_meant_as_a_whole_where_that_makes_sense() {
    let (index, _folder) = index().await;
    let group = Target::Group("f1".into());
    for deed in [
        note(),
        Deed::Assigned { owner: "ben".into() },
        Deed::Linked { ticket: "T-1".into() },
        Deed::Resolved,
    ] {
        let prepared = change(deed.clone()).prepare(&*index, &group, 10).await.expect("prepared");
        assert_eq!((prepared.letters.len(), prepared.groups.len()), (0, 1), "{deed:?}");
        assert_eq!(prepared.groups[0].count, 20);
    }
    let other = Deed::Reclassified { code: "parse.corrupt".into(), class: "permanent".into() };
    let prepared = change(other).prepare(&*index, &group, 20).await.expect("prepared");
    assert_eq!((prepared.letters.len(), prepared.groups.len()), (20, 0));
    let unknown =
        change(note()).prepare(&*index, &Target::Group("f2".into()), 10).await.expect_err("unknown");
    assert!(unknown.to_string().contains("no group 'f2'"), "{unknown}");
}

#[tokio::test]
async fn resolving_letters_resolves_their_groups() {
    let (index, _folder) = index().await;
    let those = Target::Those(Box::new(Filter { tenant: Some("acme".into()), ..Filter::default() }));
    for target in [ids(&["id-0001", "id-0002"]), those] {
        let prepared = change(Deed::Resolved).prepare(&*index, &target, 10).await.expect("prepared");
        let prints: Vec<&str> = prepared.groups.iter().map(|group| group.fingerprint.as_str()).collect();
        assert_eq!((prints, prepared.letters.len()), (vec!["f1"], 0));
    }
}

#[tokio::test]
async fn words_that_cannot_be_kept_are_refused_before_anything_is_looked_at() {
    let (index, _folder) = index().await;
    let recode = |code: &str, class: &str| Deed::Reclassified { code: code.into(), class: class.into() };
    let wrong = [
        Change { by: String::new(), ..change(note()) },
        Change { by: "a\nb".into(), ..change(note()) },
        Change { reason: Some("x".repeat(600)), ..change(note()) },
        Change { reason: None, ..change(Deed::Restored) },
        Change { reason: None, ..change(Deed::Resolved) },
        Change { reason: None, ..change(recode("parse.corrupt", "permanent")) },
        change(Deed::Noted { text: "x".repeat(5000) }),
        change(Deed::Noted { text: "bell \u{7}".into() }),
        change(Deed::Assigned { owner: "x\ty".into() }),
        change(recode("two words", "permanent")),
        change(recode("parse.corrupt", "bad")),
    ];
    for change in wrong {
        let told = format!("{change:?}");
        let error = change.prepare(&*index, &ids(&["id-0001"]), 10).await;
        assert!(matches!(error, Err(ChangeError::Wrong(_))), "{told}: {error:?}");
    }
    let right = [
        Change { reason: None, ..change(note()) },
        change(Deed::Noted { text: "two\nlines".into() }),
        change(Deed::Noted { text: String::new() }),
        change(Deed::Assigned { owner: String::new() }),
        change(recode("com.example.Broken", "transient")),
    ];
    for change in right {
        let told = format!("{change:?}");
        let prepared = change.prepare(&*index, &ids(&["id-0001"]), 10).await;
        assert!(prepared.is_ok(), "{told}: {prepared:?}");
    }
}
