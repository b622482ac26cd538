use super::*;
use crate::message::payload::Evidence;
use crate::stage::fakes::{FakeIndex, FakeModel, Search, code_of, evidence, job, run_one};

fn question() -> Question {
    Question { id: "q".into(), tenant: "acme".into(), text: "Why?".into() }
}

fn stage(found: Vec<Evidence>) -> (Retrieve, Arc<FakeIndex>) {
    let index = Arc::new(FakeIndex { found, ..FakeIndex::default() });
    let settings = config::Retrieve { provider: "p".into(), model: "m".into(), top_k: 3 };
    (Retrieve::new(&settings, Arc::new(FakeModel::default()), index.clone()), index)
}

#[tokio::test]
async fn the_index_is_asked_within_the_question_s_tenant() {
    let (stage, index) = stage(vec![evidence("a", "Because.")]);
    let retrieved: Retrieved = run_one(&stage, job(question())).await.expect("retrieved");
    assert_eq!(retrieved.question, question());
    assert_eq!(retrieved.evidence, [evidence("a", "Because.")]);
    let seen = Search { tenant: "acme".into(), text: "Why?".into(), embedding: vec![1.0, 0.0], limit: 3 };
    assert_eq!(*index.searches.lock().expect("no panic"), [seen]);
}

#[tokio::test]
async fn nothing_found_is_an_answer_and_not_a_fault() {
    let (stage, _) = stage(Vec::new());
    let retrieved: Retrieved = run_one(&stage, job(question())).await.expect("retrieved");
    assert!(retrieved.evidence.is_empty());
}

#[tokio::test]
async fn another_tenant_s_header_is_refused_before_the_index_is_asked() {
    let (stage, index) = stage(Vec::new());
    let mut job = job(question());
    job.correlation.tenant = Some("globex".into());
    assert_eq!(code_of(&stage, job).await, Code::RecordTenantMismatch);
    assert!(index.searches.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_passage_of_another_tenant_stops_the_stage() {
    let mut foreign = evidence("a", "secret");
    foreign.document.tenant = "globex".into();
    let (stage, _) = stage(vec![foreign]);
    assert_eq!(code_of(&stage, job(question())).await, Code::IndexUnavailable);
}
