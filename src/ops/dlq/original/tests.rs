//! What bytes are shown as.

use serde_json::json;

use super::*;
use crate::flow::Code;
use crate::ops::dlq::fixture::{entry, record};

fn config() -> Config {
    let yaml = "version: 1
kafka: { bootstrap: 'localhost:9092' }
pipelines:
  rag:
    input: { topic: d }
    output: { topic: i }
    stages: [ { name: validate, kind: validate }, { name: parse, kind: parse }, { name: ground, kind: ground } ]
";
    serde_saphyr::from_str(yaml).expect("a valid configuration")
}

#[test]
fn bytes_are_json_or_text_or_neither() {
    let content = |bytes: &[u8]| Part::of(Some(bytes)).content.expect("some content");
    assert_eq!(content(br#"{"a":1}"#), Content::Json { value: json!({ "a": 1 }) });
    assert_eq!(content(b"17"), Content::Text { text: "17".into() }, "a key is seldom meant as a number");
    assert_eq!(content(b"a b"), Content::Text { text: "a b".into() });
    assert_eq!(content(&[0xff, 0]), Content::Binary { base64: "/wA=".into() });
    assert_eq!(Part::of(None), Part { bytes: None, content: None, problem: None });
}

#[tokio::test]
async fn a_letter_of_ours_shows_the_record_as_it_was_and_one_of_others_all_that_stands_there() {
    let (letter, record) = (entry("j1", "parse.corrupt", 60), record("j1", Code::ParseCorrupt, 60));
    let names =
        |original: &Original| original.headers.iter().map(|header| header.name.clone()).collect::<Vec<_>>();
    let shown = original(&config(), &letter, &record).await;
    assert_eq!(names(&shown), ["x-secret"]);
    assert_eq!(shown.payload.content, Some(Content::Json { value: json!({ "id": "a.pdf" }) }));
    let foreign = Entry { writer: Writer::Spring, ..letter };
    assert!(names(&original(&config(), &foreign, &record).await).contains(&"dlq.id".to_owned()));
}

#[tokio::test]
async fn contents_can_be_left_out_and_lengths_stay() {
    let (letter, record) = (entry("j1", "parse.corrupt", 60), record("j1", Code::ParseCorrupt, 60));
    let shown = original(&config(), &letter, &record).await.without_contents();
    let text = serde_json::to_string(&shown).expect("JSON");
    assert!(!text.contains("s3cr3t") && !text.contains("a.pdf"), "{text}");
    assert_eq!((shown.key.bytes, shown.payload.bytes), (Some(5), Some(14)));
}

#[tokio::test]
async fn a_draft_tells_the_tokens_that_its_model_took() {
    let value = json!({ "text": "…", "usage": { "prompt_tokens": 7, "completion_tokens": 2 } }).to_string();
    let mut letter = entry("j1", "answer.ungrounded", 60);
    let mut record = record("j1", Code::AnswerUngrounded, 60);
    record.value = Some(value.into());
    assert_eq!(original(&config(), &letter, &record).await.usage, None, "what parse reads is no draft");
    letter.stage = "ground".into();
    let usage = Usage { prompt_tokens: 7, completion_tokens: 2 };
    assert_eq!(original(&config(), &letter, &record).await.usage, Some(usage));
}

#[tokio::test]
async fn what_is_masked_is_not_shown() {
    let (letter, record) = (entry("j1", "parse.corrupt", 60), record("j1", Code::ParseCorrupt, 60));
    let rules = "{ fields: [$.id], headers: [x-secret], keys: true }";
    let mut config = config();
    config.quarantine.masking = serde_saphyr::from_str(rules).expect("rules");
    let shown = original(&config, &letter, &record).await;
    let text = serde_json::to_string(&shown).expect("JSON");
    assert!(!text.contains("s3cr3t") && !text.contains("a.pdf"), "{text}");
    assert_eq!(shown.payload.content, Some(Content::Json { value: json!({ "id": "***" }) }));
    assert_eq!(
        (shown.key.bytes, shown.payload.bytes),
        (Some(5), Some(14)),
        "lengths are those of the record"
    );
}
