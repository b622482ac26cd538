//! Dead letters: every record that cannot be worked on, as it came, and never dropped for its size.

use lazaret::kafka::admin::Admin;
use lazaret::message::{OutRecord, Record};
use serde_json::json;

use super::{EMBED, jobs};
use crate::rig::{Rig, eventually, record};

async fn letters(rig: &Rig, count: usize) -> Vec<Record> {
    eventually("the dead letters are written", async || {
        (rig.jobs("embed", "dead").await == count as u64).then_some(())
    })
    .await;
    let letters = rig.records("embed.dlq").await;
    assert_eq!(letters.len(), count);
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_read_are_dead_letters_with_their_bytes_as_they_came() {
    let Some(rig) = Rig::new("unreadable", EMBED, "").await else { return };
    let mut worker = rig.worker(&[]).await;
    let topic = rig.topic("in");
    let bytes = |key: &str, value: Option<&[u8]>| OutRecord {
        key: Some(key.as_bytes().to_vec().into()),
        value: value.map(|value| value.to_vec().into()),
        headers: [("tenant-id".to_owned(), Some(vec![0xff, 0xfe])), ("x".to_owned(), None)]
            .into_iter()
            .collect(),
        timestamp: Some(1_600_000_000_000),
        ..record(&topic, &[], &json!(null))
    };
    let sent = [
        (bytes("null", None), "record.null"),
        (bytes("empty", Some(b"")), "record.undecodable"),
        (bytes("binary", Some(&[0, 159, 146, 150])), "record.undecodable"),
        (bytes("cut", Some(br#"{"document": {"id": "#)), "record.undecodable"),
        (bytes("strange", Some(br#"{"surprise": 1}"#)), "record.schema_violation"),
    ];
    rig.send(sent.iter().map(|(record, _)| record.clone()).collect()).await;
    let letters = letters(&rig, sent.len()).await;
    for (original, code) in &sent {
        let letter = letters.iter().find(|letter| letter.key == original.key).expect("its letter");
        assert_eq!(
            letter.headers.text("dlq.error.code"),
            Some(*code),
            "{:?}",
            letter.headers.text("dlq.error.message")
        );
        assert_eq!(letter.value, original.value);
        assert_eq!(letter.at.timestamp, original.timestamp);
        let first: Vec<_> = letter.headers.iter().take(2).collect();
        assert_eq!(first, original.headers.iter().collect::<Vec<_>>());
        let job = letter.headers.text("job-id").expect("a derived job id");
        assert!(job.starts_with(&topic), "{job}");
        for (name, value) in letter.headers.iter().skip(2) {
            assert!(std::str::from_utf8(value.unwrap_or_default()).is_ok(), "{name} is text");
        }
    }
    let metrics = worker.metrics().await;
    assert!(metrics.lines().any(|l| l.starts_with("lazaret_dlq_records_total") && l.contains("record.null")));
    assert!(worker.terminate().await.success());
}

async fn alter(rig: &Rig, topic: &str, setting: &str, value: &str) {
    let admin = Admin::new(&rig.config.kafka, "test").expect("a client");
    admin.alter(topic, &[(setting, value)]).await.expect("the topic can be changed");
}

async fn limit(rig: &Rig, topic: &str, bytes: usize) {
    alter(rig, topic, "max.message.bytes", &bytes.to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_that_the_dead_letter_topic_refuses_stays_in_the_headers_and_stops_nothing() {
    let Some(rig) = Rig::new("future", EMBED, "").await else { return };
    let week = jiff::Timestamp::now().as_millisecond() + 7 * 86_400_000;
    alter(&rig, &rig.topic("in"), "message.timestamp.after.max.ms", &i64::MAX.to_string()).await;
    let mut worker = rig.worker(&[]).await;
    let mut records = jobs(&rig.topic("in"), 3);
    records.push(OutRecord {
        timestamp: Some(week),
        ..record(&rig.topic("in"), &[("job-id", "early")], &json!("no passages"))
    });
    rig.send(records).await;
    let letter = letters(&rig, 1).await.remove(0);
    let origin: jiff::Timestamp =
        letter.headers.text("dlq.origin.timestamp").expect("a time").parse().expect("RFC 3339");
    assert_eq!(origin.as_millisecond(), week);
    eventually("the others are indexed", async || (rig.jobs("index", "done").await == 3).then_some(())).await;
    assert!(worker.terminate().await.success());
}

/// A job that dies with a long message, and whose value does not shrink.
fn verbose(rig: &Rig, name: &str) -> OutRecord {
    let mut value = super::passages(1);
    value["passages"][0]["ordinal"] = json!("long ".repeat(120));
    record(&rig.topic("in"), &[("job-id", name)], &value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_too_large_sheds_detail_and_if_that_is_not_enough_the_stage_waits() {
    let one = EMBED.replace("partitions: 3", "partitions: 1");
    let Some(rig) = Rig::new("toolarge", &one, "").await else { return };
    let dlq = rig.topic("embed.dlq");
    let mut worker = rig.worker(&[]).await;
    rig.send(vec![verbose(&rig, "whole")]).await;
    let whole = letters(&rig, 1).await.remove(0);
    let message = |letter: &Record| letter.headers.text("dlq.error.message").unwrap_or_default().len();
    assert!(message(&whole) > 400, "the message is long enough to be shed");

    // Room for the record and its brief headers, and not for the message.
    limit(&rig, &dlq, whole.size() - 100).await;
    rig.send(vec![verbose(&rig, "brief")]).await;
    let brief = letters(&rig, 2).await;
    let brief = brief.iter().find(|l| l.headers.text("job-id") == Some("brief")).expect("its letter");
    assert!(message(brief) < 120 && brief.headers.text("dlq.error.chain").is_none());
    assert_eq!(brief.headers.text("dlq.error.code"), whole.headers.text("dlq.error.code"));

    limit(&rig, &dlq, 600).await;
    let mut more = vec![verbose(&rig, "held")];
    more.extend(jobs(&rig.topic("in"), 5));
    rig.send(more).await;
    eventually("the stage says why it waits", async || {
        worker.readiness().await.to_string().contains("dlq.unwritable").then_some(())
    })
    .await;
    assert_eq!(rig.records("embed.dlq").await.len(), 2);
    limit(&rig, &dlq, 1_000_000).await;
    assert_eq!(letters(&rig, 3).await.len(), 3);
    eventually("the others are indexed", async || (rig.jobs("index", "done").await == 5).then_some(())).await;
    assert!(worker.terminate().await.success());
}
