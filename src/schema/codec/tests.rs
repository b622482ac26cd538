use serde_json::json;

use super::*;
use crate::message::{Coordinates, Headers};
use crate::schema::stub::{Stub, problem, schema};

fn record(value: Option<&[u8]>) -> Record {
    let at = Coordinates { topic: "questions".into(), partition: 2, offset: 41, timestamp: None };
    Record { at, key: None, value: value.map(bytes::Bytes::copy_from_slice), headers: Headers::new() }
}

fn plan(format: Format, shape: Shape) -> Plan {
    Plan { topic: "questions".into(), format, shape, ours: true }
}

async fn avro(shape: Shape, answers: &[(u16, String)]) -> (Codec, Stub) {
    let stub = Stub::answering(answers).await;
    let registry = Arc::new(Registry::new(&stub.settings(), None).unwrap());
    (Codec::new(&plan(Format::Avro, shape), Some(&registry)).unwrap(), stub)
}

/// A value written with another schema than ours, under id 1.
fn written(writer: &str, value: apache_avro::types::Value) -> Vec<u8> {
    let writer = Schema::parse_str(writer).unwrap();
    let datum = GenericDatumWriter::builder(&writer).build().unwrap().write_value_to_vec(value).unwrap();
    [&[0, 0, 0, 0, 1], datum.as_slice()].concat()
}

fn fields(pairs: &[(&str, &str)]) -> apache_avro::types::Value {
    use apache_avro::types::Value::{Record, String};
    Record(pairs.iter().map(|(name, text)| ((*name).to_owned(), String((*text).to_owned()))).collect())
}

#[tokio::test]
async fn a_record_without_a_value_is_null_in_every_format() {
    let (avro, _stub) = avro(Shape::Document, &[problem(500, 0)]).await;
    let json = Codec::new(&plan(Format::Json, Shape::Document), None).unwrap();
    let bytes = Codec::new(&plan(Format::Bytes, Shape::Document), None).unwrap();
    for codec in [avro, json, bytes] {
        let fault = codec.decode(&record(None)).await.unwrap_err();
        assert_eq!(fault.code, Code::RecordNull);
        assert!(fault.message.contains("questions-2@41"), "{}", fault.message);
    }
}

#[tokio::test]
async fn json_is_read_and_written_as_it_is() {
    let codec = Codec::new(&plan(Format::Json, Shape::Question), None).unwrap();
    let value = json!({ "id": "q", "more": [1, 2.5, null, "質問"] });
    let bytes = codec.encode(&value).await.unwrap();
    assert_eq!(codec.decode(&record(Some(&bytes))).await.unwrap(), value);
    assert_eq!(codec.decode(&record(Some(b"{"))).await.unwrap_err().code, Code::RecordUndecodable);
}

#[tokio::test]
async fn a_value_beyond_all_measure_is_not_parsed() {
    let codec = Codec::new(&plan(Format::Json, Shape::Question), None).unwrap();
    let fault = codec.decode(&record(Some(&vec![b' '; VALUE_MAX + 1]))).await.unwrap_err();
    assert_eq!(fault.code, Code::RecordUndecodable);
    assert!(fault.message.contains("more than"), "{}", fault.message);
}

#[tokio::test]
async fn fields_that_the_writer_did_not_know_get_their_defaults_and_others_are_left_out() {
    let writer = r#"{"type": "record", "name": "Old", "fields": [{"name": "id", "type": "string"},
        {"name": "colour", "type": "string"}, {"name": "tenant", "type": "string"}]}"#;
    let (codec, _stub) = avro(Shape::Document, &[schema(writer)]).await;
    let value = written(writer, fields(&[("id", "manual"), ("colour", "red"), ("tenant", "acme")]));
    let document = codec.decode(&record(Some(&value))).await.unwrap();
    assert_eq!(document, json!({ "id": "manual", "tenant": "acme" }));
}

#[tokio::test]
async fn a_value_that_does_not_resolve_to_our_schema_violates_it() {
    let writer = r#"{"type": "record", "name": "Other", "fields": [{"name": "id", "type": "string"}]}"#;
    let (codec, _stub) = avro(Shape::Question, &[schema(writer)]).await;
    let fault = codec.decode(&record(Some(&written(writer, fields(&[("id", "q")]))))).await.unwrap_err();
    assert_eq!(fault.code, Code::RecordSchemaViolation);
    assert!(fault.message.contains("io.lazaret.Question"), "{}", fault.message);
}

#[tokio::test]
async fn a_written_value_carries_the_registered_id_which_is_asked_for_once() {
    let (codec, stub) = avro(Shape::Question, &[(200, json!({ "id": 258, "version": 1 }).to_string())]).await;
    let value = json!({ "id": "q", "tenant": "t", "text": "?" });
    let wire = codec.encode(&value).await.unwrap();
    assert_eq!(wire, [&[0, 0, 0, 1, 2][..], b"\x02q\x02t\x02?"].concat());
    codec.encode(&value).await.unwrap();
    assert_eq!(stub.asked(), ["/subjects/questions-value?deleted=false"]);
}

#[tokio::test]
async fn a_schema_that_nobody_registered_pauses_the_stage_and_names_the_remedy() {
    let registered = (200, json!({ "id": 3 }).to_string());
    let unknown = problem(404, 40401);
    let (codec, _stub) =
        avro(Shape::Question, &[unknown.clone(), unknown, problem(500, 50001), registered]).await;
    let value = json!({ "id": "q", "tenant": "t", "text": "?" });
    let fault = codec.encode(&value).await.unwrap_err();
    assert_eq!(fault.code, Code::RegistryUnavailable);
    assert!(fault.message.contains("lazaret schemas register"), "{}", fault.message);
    assert!(fault.message.contains("questions-value"), "{}", fault.message);

    assert_eq!(codec.encode(&value).await.unwrap_err().status, Some(500));
    assert!(codec.encode(&value).await.is_ok(), "the failures before must not be remembered");
}

#[tokio::test]
async fn a_schema_that_another_client_registered_in_other_words_is_the_same_when_it_writes_the_same() {
    let mut theirs: Value = serde_json::from_str(Shape::Question.text()).unwrap();
    theirs["doc"] = json!("Une question.");
    let latest =
        |schema: &Value| (200, json!({ "id": 9, "version": 4, "schema": schema.to_string() }).to_string());
    let value = json!({ "id": "q", "tenant": "t", "text": "?" });

    let (codec, _stub) = avro(Shape::Question, &[problem(404, 40403), latest(&theirs)]).await;
    assert_eq!(codec.encode(&value).await.unwrap()[..5], [0, 0, 0, 0, 9]);

    theirs["fields"].as_array_mut().unwrap().reverse();
    let (codec, _stub) = avro(Shape::Question, &[problem(404, 40403), latest(&theirs)]).await;
    assert_eq!(codec.encode(&value).await.unwrap_err().code, Code::RegistryUnavailable);
}

#[tokio::test]
async fn an_output_that_its_schema_forbids_is_a_violation_and_nobody_is_asked() {
    let (codec, stub) = avro(Shape::Question, &[problem(500, 0)]).await;
    let fault = codec.encode(&json!({ "id": "q", "tenant": "t" })).await.unwrap_err();
    assert_eq!(fault.code, Code::RecordSchemaViolation);
    assert!(fault.message.contains("text: a required field is missing"), "{}", fault.message);
    assert!(stub.asked().is_empty());
}

#[tokio::test]
async fn a_topic_of_documents_as_bytes_cannot_be_written() {
    let codec = Codec::new(&plan(Format::Bytes, Shape::Document), None).unwrap();
    assert_eq!(codec.encode(&json!({})).await.unwrap_err().code, Code::OutputUnwritable);
}

#[test]
fn a_codec_that_cannot_be_is_refused_at_start() {
    let no_registry = Codec::new(&plan(Format::Avro, Shape::Question), None).unwrap_err();
    assert!(no_registry.to_string().contains("add `registry:"), "{no_registry}");
    let not_documents = Codec::new(&plan(Format::Bytes, Shape::Question), None).unwrap_err();
    assert!(not_documents.to_string().contains("documents only"), "{not_documents}");
}
