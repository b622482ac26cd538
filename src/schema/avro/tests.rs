use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::message::payload::*;
use crate::schema::Shape;

/// To Avro bytes and back, by the shape's schema.
fn through_avro(value: &Json, shape: Shape) -> Json {
    let schema = shape.schema().unwrap();
    let written = from_json(value, &schema).unwrap();
    let bytes = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(written).unwrap();
    let read =
        GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut bytes.as_slice()).unwrap();
    to_json(read.resolve(&schema).unwrap()).unwrap()
}

fn survives<T>(payload: &T, shape: Shape)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let back = through_avro(&serde_json::to_value(payload).unwrap(), shape);
    assert_eq!(&serde_json::from_value::<T>(back).unwrap(), payload, "{shape:?}");
}

fn document() -> DocumentRef {
    DocumentRef {
        id: "manual".into(),
        tenant: "acme".into(),
        version: 1_700_000_000_123,
        title: Some("取扱説明書".into()),
        source: Some("file:///docs/manual.pdf".into()),
        media_type: Some("application/pdf".into()),
    }
}

fn question() -> Question {
    Question { id: "q1".into(), tenant: "acme".into(), text: "What now?".into() }
}

fn evidence() -> Evidence {
    Evidence {
        document: document(),
        ordinal: u32::MAX,
        text: "Press the button.".into(),
        heading: Some("Use > First".into()),
        page: Some(3),
        score: 0.032_786_885_245_901_64,
    }
}

fn citation() -> Citation {
    Citation {
        mark: 1,
        document: DocumentRef { title: None, ..document() },
        ordinal: 4,
        heading: None,
        page: None,
        quote: "Press".into(),
    }
}

fn passages(embedding: Option<Vec<f32>>) -> Passages {
    let passage = Passage {
        ordinal: 0,
        text: "Press the button.".into(),
        heading: Some("Use".into()),
        page: Some(1),
        embedding,
    };
    Passages { document: document(), part: 0, parts: 2, passages: vec![passage], model: Some("local".into()) }
}

#[test]
fn every_payload_survives_avro_whole() {
    let whole = Document {
        id: "manual".into(),
        tenant: "acme".into(),
        version: Some(-1),
        title: Some("Title".into()),
        file_name: Some("manual.pdf".into()),
        media_type: Some("application/pdf".into()),
        text: Some("全文".into()),
        content: Some("/wB/".into()),
        uri: Some("https://host/manual".into()),
    };
    survives(&whole, Shape::Document);
    let pages = vec![0, 17, 4_000_000_000];
    survives(&Parsed { document: document(), text: "# A\n\nB".into(), pages }, Shape::Parsed);
    survives(&passages(Some(vec![0.1, -0.5, f32::MIN_POSITIVE, 1.0])), Shape::Passages);
    let indexed =
        Indexed { document: document(), part: 1, parts: 2, passages: 9, complete: true, superseded: false };
    survives(&indexed, Shape::Indexed);
    survives(&question(), Shape::Question);
    survives(&Retrieved { question: question(), evidence: vec![evidence(), evidence()] }, Shape::Retrieved);
    let usage = Usage { prompt_tokens: 5_000_000_000, completion_tokens: 7 };
    let draft = Draft {
        question: question(),
        evidence: vec![evidence()],
        text: "Press [1].".into(),
        model: "m".into(),
        usage,
    };
    survives(&draft, Shape::Draft);
    for status in [AnswerStatus::Answered, AnswerStatus::Unanswerable] {
        let answer = Answer {
            question: question(),
            status,
            text: "Press [1].".into(),
            citations: vec![citation()],
            model: "m".into(),
            usage,
        };
        survives(&answer, Shape::Answer);
    }
}

#[test]
fn every_payload_survives_avro_with_nothing_optional() {
    survives(&Document::default(), Shape::Document);
    survives(&Parsed::default(), Shape::Parsed);
    survives(&Passages { passages: vec![Passage::default()], ..Passages::default() }, Shape::Passages);
    survives(&Indexed::default(), Shape::Indexed);
    survives(&Question::default(), Shape::Question);
    survives(&Retrieved { evidence: vec![Evidence::default()], ..Retrieved::default() }, Shape::Retrieved);
    survives(&Draft::default(), Shape::Draft);
    survives(&Answer { citations: vec![Citation::default()], ..Answer::default() }, Shape::Answer);
}

#[test]
fn what_stands_in_the_registry_has_the_name_of_its_shape() {
    for shape in Shape::ALL {
        let schema = shape.schema().unwrap();
        assert_eq!(schema.name().unwrap().to_string(), shape.name());
    }
}

#[test]
fn absent_fields_are_absent_in_json_again() {
    let question = json!({ "id": "manual", "tenant": "acme" });
    assert_eq!(through_avro(&question, Shape::Document), question);
}

#[test]
fn bytes_are_base64_in_json_and_bytes_in_avro() {
    let schema = Shape::Document.schema().unwrap();
    let value = json!({ "id": "a", "tenant": "t", "content": "/wB/" });
    let Avro::Record(fields) = from_json(&value, &schema).unwrap() else { panic!("not a record") };
    let content = fields.into_iter().find(|(name, _)| name == "content").unwrap().1;
    assert_eq!(content, Avro::Union(1, Box::new(Avro::Bytes(vec![0xff, 0x00, 0x7f]))));
}

#[test]
fn what_does_not_fit_is_named_with_its_place() {
    let evidence = |score: Json| json!({ "document": document(), "ordinal": 1, "text": "x", "score": score });
    let retrieved = |evidence: Json| json!({ "question": question(), "evidence": [evidence] });
    let cases = [
        (
            retrieved(evidence(json!("high"))),
            Shape::Retrieved,
            "evidence[0].score: expected double, found a text",
        ),
        (json!({ "id": "q", "tenant": "t" }), Shape::Question, "text: a required field is missing"),
        (
            json!({ "id": "q", "tenant": "t", "text": null }),
            Shape::Question,
            "text: expected string, found null",
        ),
        (
            json!({ "id": "q", "tenant": "t", "text": "?", "mood": "bad" }),
            Shape::Question,
            "mood: the schema has no such field",
        ),
        (json!({ "id": "d", "tenant": "t", "content": "no!" }), Shape::Document, "content: not base64"),
        (json!({ "id": "d", "tenant": "t", "version": 1.5 }), Shape::Document, "version: expected long"),
        (json!({ "id": "d", "tenant": "t", "version": u64::MAX }), Shape::Document, "version: expected long"),
        (json!([]), Shape::Question, "expected record, found a list"),
    ];
    for (value, shape, says) in cases {
        let said = from_json(&value, &shape.schema().unwrap()).unwrap_err().to_string();
        assert!(said.starts_with(says), "{said}");
    }
}

#[test]
fn an_unknown_status_is_refused_with_the_ones_there_are() {
    let mut answer = serde_json::to_value(Answer::default()).unwrap();
    answer["status"] = json!("perhaps");
    let said = from_json(&answer, &Shape::Answer.schema().unwrap()).unwrap_err().to_string();
    assert_eq!(said, "status: expected one of answered, unanswerable, found a text");
}

#[test]
fn a_number_that_json_cannot_say_is_refused() {
    assert!(to_json(Avro::Double(f64::NAN)).is_err());
    assert!(to_json(Avro::Float(f32::INFINITY)).is_err());
}

proptest! {
    /// Vectors must come back bit for bit, or the index would not find its own passages.
    #[test]
    fn embeddings_survive_exactly(embedding in prop::collection::vec(-1.0f32..1.0, 0..64)) {
        survives(&passages(Some(embedding)), Shape::Passages);
    }

    #[test]
    fn any_document_survives(
        id in ".{0,20}",
        version in any::<Option<i64>>(),
        text in prop::option::of(".{0,200}"),
        content in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let content = content.map(|bytes| STANDARD.encode(bytes));
        let document = Document { id, tenant: "t".into(), version, text, content, ..Document::default() };
        survives(&document, Shape::Document);
    }
}
