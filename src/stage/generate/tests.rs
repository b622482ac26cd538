use super::*;
use crate::message::payload::Question;
use crate::stage::fakes::{FakeModel, code_of, evidence, job, run_one};

fn stage(answer: &str) -> (Generate, Arc<FakeModel>) {
    let provider = Arc::new(FakeModel { answer: answer.into(), ..FakeModel::default() });
    let settings = config::Generate {
        provider: "p".into(),
        model: "chat".into(),
        max_tokens: 99,
        temperature: 0.0,
        prompt_file: None,
    };
    (Generate::new(&settings, provider.clone()).expect("a stage"), provider)
}

fn retrieved(evidence: Vec<crate::message::payload::Evidence>) -> Retrieved {
    let question = Question { id: "q".into(), tenant: "acme".into(), text: "Why?".into() };
    Retrieved { question, evidence }
}

#[tokio::test]
async fn a_draft_carries_the_answer_the_evidence_and_the_bill() {
    let (stage, provider) = stage("Because [1].");
    let draft: Draft = run_one(&stage, job(retrieved(vec![evidence("a", "So.")]))).await.expect("a draft");
    assert_eq!(draft.text, "Because [1].");
    assert_eq!(draft.model, "chat-2026-01-01");
    assert_eq!(draft.usage, Usage { prompt_tokens: 7, completion_tokens: 3 });
    assert_eq!(draft.evidence, [evidence("a", "So.")]);
    let asked = provider.asked.lock().expect("no panic");
    let [request] = asked.as_slice() else { panic!("one call") };
    assert_eq!((request.model.as_str(), request.max_tokens), ("chat", 99));
    let roles: Vec<&str> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, ["system", "user"]);
}

#[tokio::test]
async fn without_evidence_nobody_is_asked_and_nothing_is_paid() {
    let (stage, provider) = stage("never said");
    let draft: Draft = run_one(&stage, job(retrieved(Vec::new()))).await.expect("a draft");
    assert_eq!(draft.text, NO_ANSWER);
    assert_eq!(draft.usage, Usage::default());
    assert!(provider.asked.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn an_empty_answer_is_malformed() {
    let (stage, _) = stage(" \n");
    assert_eq!(code_of(&stage, job(retrieved(vec![evidence("a", "So.")]))).await, Code::LlmMalformed);
}
