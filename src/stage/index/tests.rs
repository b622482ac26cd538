use super::*;
use crate::message::payload::Passage;
use crate::stage::fakes::{FakeIndex, code_of, document_ref, job, run_one};

fn part(embedding: Option<Vec<f32>>) -> Passages {
    let passages = vec![Passage { text: "x".into(), embedding, ..Passage::default() }];
    Passages { document: document_ref("a"), part: 1, parts: 2, passages, model: None }
}

async fn indexed(put: Put) -> Indexed {
    let index = Arc::new(FakeIndex { put: Some(put), ..FakeIndex::default() });
    run_one(&IndexStage::new(index), job(part(Some(vec![1.0])))).await.expect("indexed")
}

#[tokio::test]
async fn the_output_says_what_became_of_the_part() {
    let partial = indexed(Put::Partial).await;
    assert_eq!((partial.part, partial.parts, partial.passages), (1, 2, 1));
    assert!(!partial.complete && !partial.superseded);
    assert!(indexed(Put::Complete).await.complete);
    assert!(indexed(Put::Superseded).await.superseded);
}

#[tokio::test]
async fn a_failing_index_is_systemic() {
    let stage = IndexStage::new(Arc::new(FakeIndex::default()));
    assert_eq!(code_of(&stage, job(part(Some(vec![1.0])))).await, Code::IndexUnavailable);
}

#[tokio::test]
async fn a_part_without_embeddings_never_reaches_the_index() {
    let index = Arc::new(FakeIndex { put: Some(Put::Complete), ..FakeIndex::default() });
    let stage = IndexStage::new(index.clone());
    assert_eq!(code_of(&stage, job(part(None))).await, Code::RecordSchemaViolation);
    assert!(index.parts.lock().expect("no panic").is_empty());
}
