//! `submit` against a real Kafka: what was submitted stands in the input topic.

use lazaret::config::{Registry, Span, Subject};
use lazaret::flow::Code;
use lazaret::kafka::ProduceError;
use lazaret::message::payload::{Document, Question};
use lazaret::ops::schemas;
use lazaret::ops::submit::{SubmitError, documents, pipeline, questions, submit};
use lazaret::ops::topics::apply;
use lazaret::schema::{self, Codec, Plan};

use crate::registry::url as registry;
use crate::support::{bootstrap, config, records, unique};

fn yaml(name: &str, kind: &str, format: &str) -> String {
    format!(
        "version: 1
kafka: {{ bootstrap: '{{kafka}}', delivery_timeout: 15s }}
pipelines:
  {name}:
    input: {{ topic: {name}-in, format: {format} }}
    output: {{ topic: {name}-out }}
    partitions: 3
    stages: [ {{ name: validate, kind: {kind} }} ]
"
    )
}

#[tokio::test]
async fn submitted_documents_stand_in_the_input_topic_with_their_ids() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("documents");
    let config = config(&kafka, &yaml(&name, "validate", "json"));
    apply(&config, false).await.expect("topics");
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..40 {
        std::fs::write(folder.path().join(format!("{n:02}.txt")), format!("text {n}")).expect("written");
    }
    let files = documents::find(&[folder.path().to_owned()], Some(3)).expect("found");
    let (_, target) = pipeline(&config, None, Subject::Document).expect("a pipeline");
    let mut seen = 0;
    let submitted = submit(&config, target, "acme", files, |_| seen += 1).await.expect("submitted");
    assert_eq!((submitted.len(), seen), (40, 40));
    assert!(submitted.is_sorted_by_key(|s| s.resource.clone()));

    let records = records(&config, &[&format!("{name}-in")]).await;
    assert_eq!(records.len(), 40);
    for sent in &submitted {
        let there =
            |r: &&lazaret::message::Record| (r.at.partition, r.at.offset) == (sent.partition, sent.offset);
        let record = records.iter().find(there).expect("the record stands where it was said to");
        assert_eq!(record.headers.text("job-id"), Some(sent.job.0.as_str()));
        assert_eq!(record.headers.text("tenant-id"), Some("acme"));
        assert_eq!(record.key.as_deref(), Some(sent.resource.as_bytes()));
        let document: Document =
            serde_json::from_slice(record.value.as_deref().unwrap_or_default()).expect("JSON");
        assert_eq!((document.id, document.version), (sent.resource.clone(), Some(3)));
    }
}

#[tokio::test]
async fn a_submission_that_breaks_off_reports_every_record_that_stands_in_the_topic() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("broken");
    let config = config(&kafka, &yaml(&name, "validate", "json"));
    apply(&config, false).await.expect("topics");
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..40 {
        std::fs::write(folder.path().join(format!("{n:02}.txt")), "text").expect("written");
    }
    let files = documents::find(&[folder.path().to_owned()], None).expect("found");
    std::fs::remove_file(folder.path().join("20.txt")).expect("removed after it was found");
    let (_, target) = pipeline(&config, None, Subject::Document).expect("a pipeline");
    let mut reported = Vec::new();
    let ended = submit(&config, target, "acme", files, |s| reported.push(s.resource.clone())).await;
    assert!(matches!(&ended, Err(SubmitError::Read { place, .. }) if place.ends_with("20.txt")), "{ended:?}");
    let key = |r: &lazaret::message::Record| {
        String::from_utf8(r.key.clone().unwrap_or_default().into()).expect("an id")
    };
    let mut there: Vec<_> = records(&config, &[&format!("{name}-in")]).await.iter().map(key).collect();
    there.sort();
    assert_eq!(there, reported);
}

#[tokio::test]
async fn a_question_without_an_id_is_known_by_its_job() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("questions");
    let config = config(&kafka, &yaml(&name, "{ validate: { of: question } }", "json"));
    apply(&config, false).await.expect("topics");
    let asked = questions::parse("Why?\n{\"id\": \"q2\", \"text\": \"How?\"}", "test").expect("questions");
    let (_, target) = pipeline(&config, None, Subject::Question).expect("a pipeline");
    let submitted = submit(&config, target, "acme", asked, |_| ()).await.expect("submitted");
    assert_eq!(submitted[0].resource, submitted[0].job.0);
    assert_eq!(submitted[1].resource, "q2");
    let records = records(&config, &[&format!("{name}-in")]).await;
    let read = |r: &lazaret::message::Record| {
        serde_json::from_slice::<Question>(r.value.as_deref().unwrap_or_default()).expect("JSON")
    };
    let mut texts: Vec<_> = records.iter().map(read).map(|q| q.text).collect();
    texts.sort();
    assert_eq!(texts, ["How?", "Why?"]);
}

#[tokio::test]
async fn a_missing_input_topic_is_said_to_be_missing() {
    let Some(kafka) = bootstrap() else { return };
    let config = config(&kafka, &yaml(&unique("missing"), "{ validate: { of: question } }", "json"));
    let (_, target) = pipeline(&config, None, Subject::Question).expect("a pipeline");
    let asked = vec![questions::ask("Why?").expect("a question")];
    let failed = submit(&config, target, "acme", asked, |_| ()).await.expect_err("no topic");
    assert!(
        matches!(&failed, SubmitError::Produce { source: ProduceError::UnknownTopic(_), .. }),
        "{failed}"
    );
}

#[tokio::test]
async fn an_avro_topic_gets_what_its_schema_says() {
    let (Some(kafka), Some(url)) = (bootstrap(), registry()) else { return };
    let name = unique("avro");
    let mut config = config(&kafka, &yaml(&name, "validate", "avro"));
    config.registry = Some(Registry { url, username: None, password: None, timeout: Span::secs(20) });
    apply(&config, false).await.expect("topics");
    let client = schema::Registry::of(&config).expect("settings").expect("a registry");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.bin"), b"\x00\xff").expect("written");
    let files = || documents::find(&[folder.path().to_owned()], Some(3)).expect("found");
    let (_, target) = pipeline(&config, None, Subject::Document).expect("a pipeline");

    let early = submit(&config, target, "acme", files(), |_| ()).await.expect_err("no schema yet");
    let SubmitError::Encode { source, .. } = early else { panic!("{early}") };
    assert_eq!(source.code, Code::RegistryUnavailable, "{source}");

    schemas::register(&config, &client).await.expect("registered");
    submit(&config, target, "acme", files(), |_| ()).await.expect("submitted");
    let [record] = records(&config, &[&format!("{name}-in")]).await.try_into().expect("one record");
    assert_eq!(record.headers.text("content-type"), None);
    let plan = Plan::of_input(target).expect("a plan");
    let read = Codec::new(&plan, Some(&client)).expect("a codec").decode(&record).await.expect("decoded");
    let document: Document = serde_json::from_value(read).expect("a document");
    assert_eq!((document.id.as_str(), document.version), ("a.bin", Some(3)));
    assert_eq!(document.content.as_deref(), Some("AP8="), "the bytes, as base64 in JSON");
}
