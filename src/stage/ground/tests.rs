use super::*;
use crate::stage::fakes::{code_of, evidence, job, run_one};

fn draft(text: &str, documents: &[&str]) -> Draft {
    let question = Question { id: "q".into(), tenant: "acme".into(), text: "Why?".into() };
    let evidence = documents.iter().map(|id| evidence(id, &format!("Text of {id}."))).collect();
    Draft { question, evidence, text: text.into(), model: "m".into(), ..Draft::default() }
}

async fn answer(draft: Draft) -> Answer {
    run_one(&Ground::new(&config::Ground { citations_max: 3 }), job(draft)).await.expect("an answer")
}

fn cited(answer: &Answer) -> Vec<(u32, &str)> {
    answer.citations.iter().map(|c| (c.mark, c.document.id.as_str())).collect()
}

#[tokio::test]
async fn citations_stand_in_the_order_of_the_text_and_once_each() {
    let answer = answer(draft("Two [2]. One [1][2]. 三［３］。", &["a", "b", "c"])).await;
    assert_eq!(answer.status, AnswerStatus::Answered);
    assert_eq!(cited(&answer), [(2, "b"), (1, "a"), (3, "c")]);
    assert_eq!(answer.text, "Two [2]. One [1][2]. 三[3]。");
    assert_eq!(answer.citations[0].quote, "Text of b.");
}

#[tokio::test]
async fn a_mark_that_points_to_nothing_is_dropped() {
    let answer = answer(draft("Known [1]. Invented [7]. Zero [0].", &["a"])).await;
    assert_eq!(cited(&answer), [(1, "a")]);
    assert_eq!(answer.text, "Known [1]. Invented. Zero.");
}

#[tokio::test]
async fn an_answer_that_cites_nothing_retrieved_is_ungrounded() {
    let stage = Ground::new(&config::Ground::default());
    for text in ["Because I say so.", "See [4].", "[1]", "NO_ANSWER, but perhaps it is so."] {
        assert_eq!(code_of(&stage, job(draft(text, &["a"]))).await, Code::AnswerUngrounded, "{text}");
    }
}

#[tokio::test]
async fn no_answer_is_an_answer_without_citations() {
    for text in ["NO_ANSWER", " `NO_ANSWER`.\n"] {
        let answer = answer(draft(text, &["a"])).await;
        assert_eq!(answer.status, AnswerStatus::Unanswerable);
        assert!(answer.citations.is_empty() && !answer.text.contains(NO_ANSWER));
    }
}

#[tokio::test]
async fn the_unanswerable_is_said_in_the_question_s_language() {
    let mut asked_in_japanese = draft("NO_ANSWER", &[]);
    asked_in_japanese.question.text = "なぜですか".into();
    assert!(answer(asked_in_japanese).await.text.contains("見つかりません"));
}

#[tokio::test]
async fn where_room_is_short_more_documents_go_before_more_passages() {
    let answer = answer(draft("A [1]. A [2]. A [3]. B [4]. C [5].", &["a", "a", "a", "b", "c"])).await;
    assert_eq!(cited(&answer), [(1, "a"), (4, "b"), (5, "c")]);
    assert_eq!(answer.text, "A [1]. A. A. B [4]. C [5].");
}

#[test]
fn a_quote_is_one_line_of_bounded_length() {
    assert_eq!(quote(" a\n b "), "a b");
    assert_eq!(quote(&"漢".repeat(500)).chars().count(), QUOTE_CHARS + 1);
}
