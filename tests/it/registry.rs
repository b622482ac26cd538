//! Codecs and schemas against a real schema registry.

use std::sync::Arc;
use std::time::Duration;

use lazaret::config::{self, Config, Format, Span};
use lazaret::flow::Code;
use lazaret::message::payload::{AnswerStatus, Question};
use lazaret::message::{Coordinates, Headers, Record};
use lazaret::ops::schemas::{self, RegisterError, State};
use lazaret::schema::{Codec, Plan, Registry, Shape};
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use serde_json::{Value, json};

use crate::real::real;
use crate::support::unique;

/// The registry's address.
pub fn url() -> Option<String> {
    real("schema registry", "LAZARET_TEST_REGISTRY", "url")
}

fn connect(url: &str) -> Arc<Registry> {
    let settings =
        config::Registry { url: url.into(), username: None, password: None, timeout: Span::secs(20) };
    Arc::new(Registry::new(&settings, None).unwrap())
}

fn record(value: Vec<u8>) -> Record {
    let at = Coordinates { topic: "t".into(), partition: 0, offset: 0, timestamp: None };
    Record { at, key: None, value: Some(value.into()), headers: Headers::new() }
}

fn codec(topic: &str, shape: Shape, registry: &Arc<Registry>) -> Codec {
    let plan = Plan { topic: topic.into(), format: Format::Avro, shape, ours: true };
    Codec::new(&plan, Some(registry)).unwrap()
}

fn question() -> Value {
    serde_json::to_value(Question { id: "q1".into(), tenant: "acme".into(), text: "何ですか?".into() })
        .unwrap()
}

/// Talks to the registry as any other client would.
struct Peer {
    url: String,
    http: reqwest::Client,
}

impl Peer {
    fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { url: url.into(), http }
    }

    async fn get(&self, path: &str) -> Value {
        self.http.get(format!("{}/{path}", self.url)).send().await.unwrap().json().await.unwrap()
    }

    /// Registers a schema and returns its id.
    async fn register(&self, subject: &str, schema: &Value) -> u32 {
        let path = format!("{}/subjects/{subject}/versions", self.url);
        let answer =
            self.http.post(path).json(&json!({ "schema": schema.to_string() })).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["id"].as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    async fn set_compatibility(&self, subject: &str, level: &str) {
        let path = format!("{}/config/{subject}", self.url);
        let answer = self.http.put(path).json(&json!({ "compatibility": level })).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

/// Our schema of this shape without one of its fields.
fn without(shape: Shape, field: &str) -> Value {
    let mut schema: Value = serde_json::from_str(shape.text()).unwrap();
    schema["fields"].as_array_mut().unwrap().retain(|f| f["name"] != field);
    schema
}

#[tokio::test]
async fn every_payload_goes_through_the_registry_and_back() {
    let Some(url) = url() else { return };
    let registry = connect(&url);
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 2 });
    let document = json!({ "id": "d", "tenant": "acme", "version": 7 });
    let passage = json!({ "ordinal": 0, "text": "x", "embedding": [0.5, -0.25] });
    let evidence = json!({ "document": document, "ordinal": 3, "text": "x", "score": 0.1 });
    let citation = json!({ "mark": 1, "document": document, "ordinal": 3, "quote": "x" });
    let payload = |shape| match shape {
        Shape::Document => json!({ "id": "d", "tenant": "acme", "content": "/wB/" }),
        Shape::Parsed => json!({ "document": document, "text": "x", "pages": [0, 1] }),
        Shape::Passages => json!({ "document": document, "part": 0, "parts": 1, "passages": [passage] }),
        Shape::Indexed => json!({ "document": document, "part": 0, "parts": 1, "passages": 1,
                                  "complete": true, "superseded": false }),
        Shape::Question => question(),
        Shape::Retrieved => json!({ "question": question(), "evidence": [evidence] }),
        Shape::Draft => {
            json!({ "question": question(), "evidence": [], "text": "x", "model": "m", "usage": usage })
        }
        Shape::Answer => json!({ "question": question(), "status": AnswerStatus::Answered, "text": "x",
                                 "citations": [citation], "model": "m", "usage": usage }),
    };
    for shape in Shape::ALL {
        let topic = unique("all");
        let subject = format!("{topic}-value");
        let id = registry.register(&subject, *shape).await.unwrap();
        let value = codec(&topic, *shape, &registry).encode(&payload(*shape)).await.unwrap();
        assert_eq!(value[..5], [&[0], id.to_be_bytes().as_slice()].concat());

        // A process that has seen nothing yet reads it.
        let reader = codec("elsewhere", *shape, &connect(&url));
        assert_eq!(reader.decode(&record(value)).await.unwrap(), payload(*shape), "{shape:?}");

        let listed = Peer::new(&url).get("subjects").await;
        assert!(listed.as_array().unwrap().contains(&json!(subject)), "{subject} is not in {listed}");
    }
}

/// What a producer with an older version of the schema sends, through a client that is not ours.
#[derive(serde::Serialize)]
struct OlderQuestion {
    id: &'static str,
    tenant: &'static str,
    text: &'static str,
    mood: &'static str,
}

#[tokio::test]
async fn what_another_client_wrote_with_another_schema_is_read_with_ours() {
    let Some(url) = url() else { return };
    let topic = unique("older");
    let mut older: Value = serde_json::from_str(Shape::Question.text()).unwrap();
    older["fields"].as_array_mut().unwrap().insert(0, json!({ "name": "mood", "type": "string" }));
    older["fields"].as_array_mut().unwrap().swap(1, 3);
    Peer::new(&url).register(&format!("{topic}-value"), &older).await;

    let question = OlderQuestion { id: "q1", tenant: "acme", text: "何ですか?", mood: "curious" };
    let encoder = AvroEncoder::new(SrSettings::new(url.clone()));
    let subject = SubjectNameStrategy::TopicNameStrategy(topic.clone(), false);
    let value = encoder.encode_struct(question, &subject).await.unwrap();

    let read = codec(&topic, Shape::Question, &connect(&url)).decode(&record(value)).await.unwrap();
    assert_eq!(read, self::question());
}

#[tokio::test]
async fn another_client_reads_what_we_wrote() {
    let Some(url) = url() else { return };
    let registry = connect(&url);
    let topic = unique("ours");
    registry.register(&format!("{topic}-value"), Shape::Question).await.unwrap();
    let value = codec(&topic, Shape::Question, &registry).encode(&question()).await.unwrap();

    let read = AvroDecoder::new(SrSettings::new(url)).decode(Some(&value)).await.unwrap();
    assert_eq!(read.name.unwrap().to_string(), "io.lazaret.Question");
    let apache_avro::types::Value::Record(fields) = read.value else { panic!("not a record") };
    assert_eq!(fields[0], ("id".into(), apache_avro::types::Value::String("q1".into())));
}

#[tokio::test]
async fn an_id_that_the_registry_does_not_know_is_the_records_fault() {
    let Some(url) = url() else { return };
    let value = [&[0], 2_000_000_000_u32.to_be_bytes().as_slice(), &[0; 8]].concat();
    let fault = codec("any", Shape::Question, &connect(&url)).decode(&record(value)).await.unwrap_err();
    assert_eq!(fault.code, Code::RecordSchemaUnknown, "{fault}");
}

#[tokio::test]
async fn writing_before_the_schema_is_registered_is_nobodys_records_fault() {
    let Some(url) = url() else { return };
    let registry = connect(&url);
    let topic = unique("unregistered");
    let codec = codec(&topic, Shape::Question, &registry);
    let fault = codec.encode(&question()).await.unwrap_err();
    assert_eq!(fault.code, Code::RegistryUnavailable, "{fault}");
    assert!(fault.message.contains("lazaret schemas register"), "{fault}");

    // With the same schema in other white space, as another client may have registered it.
    let compact: Value = serde_json::from_str(Shape::Question.text()).unwrap();
    let id = Peer::new(&url).register(&format!("{topic}-value"), &compact).await;
    assert_eq!(codec.encode(&question()).await.unwrap()[1..5], id.to_be_bytes());
}

#[tokio::test]
async fn a_url_beside_the_registry_is_systemic() {
    let Some(url) = url() else { return };
    let value = [0, 0, 0, 0, 1, 0].to_vec();
    let elsewhere = connect(&format!("{url}/not/here"));
    let fault = codec("any", Shape::Question, &elsewhere).decode(&record(value)).await.unwrap_err();
    assert_eq!(fault.code, Code::RegistryUnavailable, "{fault}");
}

/// One stage: Avro in, Avro out.
fn pipeline(input: &str, output: &str) -> Config {
    serde_saphyr::from_str(&format!(
        "version: 1
kafka: {{ bootstrap: 'localhost:9092' }}
pipelines:
  p:
    input: {{ topic: {input}, format: avro }}
    output: {{ topic: {output}, format: avro }}
    stages: [{{ name: chunk, kind: chunk }}]
"
    ))
    .unwrap()
}

async fn states(config: &Config, registry: &Registry) -> Vec<State> {
    schemas::check(config, registry).await.unwrap().into_iter().map(|s| s.state).collect()
}

#[tokio::test]
async fn new_subjects_are_registered_and_then_stay_as_they_are() {
    let Some(url) = url() else { return };
    let registry = connect(&url);
    let config = pipeline(&unique("in"), &unique("out"));
    assert_eq!(states(&config, &registry).await, [State::New, State::New]);

    let first = schemas::register(&config, &registry).await.unwrap();
    assert!(first.iter().all(|s| s.state == State::Registered && s.version == Some(1) && s.id.is_some()));
    assert_eq!(schemas::register(&config, &registry).await.unwrap(), first);
    assert_eq!(schemas::check(&config, &registry).await.unwrap(), first);
}

#[tokio::test]
async fn a_compatible_schema_becomes_the_next_version_where_the_subject_is_ours() {
    let Some(url) = url() else { return };
    let (registry, peer) = (connect(&url), Peer::new(&url));
    let (input, output) = (unique("in"), unique("out"));
    for (topic, older) in
        [(&input, without(Shape::Parsed, "pages")), (&output, without(Shape::Passages, "model"))]
    {
        let subject = format!("{topic}-value");
        peer.register(&subject, &older).await;
        peer.set_compatibility(&subject, "BACKWARD").await;
    }
    let config = pipeline(&input, &output);
    assert_eq!(states(&config, &registry).await, [State::Compatible, State::Compatible]);

    let [theirs, ours] = schemas::register(&config, &registry).await.unwrap().try_into().unwrap();
    assert_eq!((theirs.state, theirs.version), (State::Compatible, Some(1)), "others fill this subject");
    assert_eq!((ours.state, ours.version), (State::Registered, Some(2)));
}

#[tokio::test]
async fn one_incompatible_subject_keeps_everything_as_it_is() {
    let Some(url) = url() else { return };
    let (registry, peer) = (connect(&url), Peer::new(&url));
    let (input, output) = (unique("in"), unique("out"));
    let subject = format!("{output}-value");
    peer.register(&subject, &without(Shape::Passages, "part")).await;
    peer.set_compatibility(&subject, "BACKWARD").await;
    let config = pipeline(&input, &output);

    assert_eq!(states(&config, &registry).await, [State::New, State::Incompatible]);
    let refused = schemas::register(&config, &registry).await.unwrap_err();
    assert!(matches!(refused, RegisterError::Incompatible(_)), "{refused}");
    assert_eq!(states(&config, &registry).await, [State::New, State::Incompatible]);
}

#[test]
fn the_schemas_that_come_with_the_program_are_avro() {
    assert!(schemas::check_local().iter().all(|(_, problem)| problem.is_none()));
}
