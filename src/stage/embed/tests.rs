use super::*;
use crate::stage::fakes::{FakeModel, code_of, document_ref, job, run_one};

fn part(texts: &[&str]) -> Passages {
    let mut document = document_ref("a");
    document.title = Some("Guide".into());
    let passages = texts
        .iter()
        .map(|text| Passage { text: (*text).into(), heading: Some("Set-up".into()), ..Passage::default() })
        .collect();
    Passages { document, part: 0, parts: 1, passages, model: None }
}

#[tokio::test]
async fn a_part_costs_one_call_and_every_passage_gets_its_vector() {
    let vectors = Some(vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
    let provider = Arc::new(FakeModel { vectors, ..FakeModel::default() });
    let stage = Embed::new(provider.clone(), "embed-3");
    let embedded: Passages = run_one(&stage, job(part(&["one", "two"]))).await.expect("embedded");
    assert_eq!(embedded.model.as_deref(), Some("embed-3"));
    assert_eq!(embedded.passages[1].embedding, Some(vec![0.0, 1.0]));
    assert_eq!(embedded.passages[1].text, "two");
    let calls = provider.embedded.lock().expect("no panic");
    assert_eq!(*calls, [["Guide\nSet-up\none", "Guide\nSet-up\ntwo"]]);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_the_question_is_malformed() {
    let wrong = [
        vec![vec![1.0]],
        vec![vec![1.0], vec![1.0], vec![1.0]],
        vec![vec![1.0, 0.0], vec![1.0]],
        vec![vec![], vec![]],
        vec![vec![f32::INFINITY], vec![1.0]],
    ];
    for vectors in wrong {
        let shown = format!("{vectors:?}");
        let provider = FakeModel { vectors: Some(vectors), ..FakeModel::default() };
        let texts = ["one".to_owned(), "two".to_owned()];
        let fault = embed(&provider, &job(part(&["one", "two"])), "m", &texts).await.expect_err("malformed");
        assert_eq!(fault.code, Code::LlmMalformed, "{shown}");
    }
}

#[tokio::test]
async fn the_provider_s_fault_is_passed_on() {
    let fault = Some(Fault::new(Code::LlmRateLimited, "slow down"));
    let stage = Embed::new(Arc::new(FakeModel { fault, ..FakeModel::default() }), "m");
    assert_eq!(code_of(&stage, job(part(&["one"]))).await, Code::LlmRateLimited);
}
