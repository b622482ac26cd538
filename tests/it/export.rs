//! Dead letters as files, with what nobody is to see hidden, by the program alone on a real Kafka.

use bytes::Bytes;
use lazaret::flow::Code;
use lazaret::message::{Headers, OutRecord};
use serde_json::Value;

use crate::acts::{count, fails, scene};
use crate::rig::Rig;

/// Writes one of somebody else's dead letters, which quotes what somebody wrote.
async fn spring(rig: &Rig) {
    let mut headers = Headers::new();
    headers.push_text("authorization", "Bearer 12345");
    headers.push_text("kafka_dlt-exception-fqcn", "com.example.Refused");
    headers.push_text("kafka_dlt-exception-message", "cannot bill 'Ada Lovelace' at ada@example.com");
    headers.push_text("kafka_dlt-original-topic", "orders");
    let value = br#"{"user":{"email":"ada@example.com","age":36},"note":"call ben@example.com"}"#;
    rig.send(vec![OutRecord {
        topic: format!("{}.parse.dlq", rig.name).into(),
        partition: Some(0),
        key: Some(Bytes::from_static(b"order-1")),
        value: Some(Bytes::from_static(value)),
        headers,
        timestamp: None,
    }])
    .await;
}

async fn exported(rig: &Rig, args: &[&str]) -> Vec<Value> {
    let output = rig.output(&[&["dlq", "export"], args].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_written_with_their_records_if_that_is_wanted() {
    let Some((rig, ids)) = scene("export", &[(Code::ParseCorrupt, 5), (Code::LlmTimeout, 1)]).await else {
        return;
    };
    let bare = exported(&rig, &["--code", "parse"]).await;
    assert_eq!(bare.len(), 5);
    assert!(bare.iter().all(|line| line.get("record").is_none()));
    let full = exported(&rig, &["--payload"]).await;
    assert_eq!(full.len(), 6);
    let one = full.iter().find(|line| line["id"] == ids[0]).expect("it is there");
    assert_eq!(
        (&one["record"]["key"], &one["record"]["payload"]),
        (&"job-0".into(), &"\0\u{1}payload".into())
    );
    assert_eq!(
        one["record"]["headers"],
        serde_json::json!([]),
        "what Lazaret wrote is no part of the record"
    );

    let file = rig.path("letters.parquet");
    let path = file.to_str().expect("text");
    let told =
        rig.ask(&["dlq", "export", "--payload", "--format", "parquet", "--to", path, "-o", "ndjson"]).await;
    assert_eq!((&told["letters"], &told["without_record"]), (&6.into(), &0.into()), "{told}");
    let bytes = std::fs::read(&file).expect("a file");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let told = fails(&rig, 4, &["export", "--to", path]).await;
    assert!(told.contains("--force"), "{told}");
    fails(&rig, 2, &["export", "--format", "parquet"]).await;
    fails(&rig, 3, &["export", "--tenant", "nobody", "--to", "nowhere.csv"]).await;
    assert!(!std::path::Path::new("nowhere.csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_masked_is_not_found_not_listed_and_not_exported_unless_somebody_answers_for_it() {
    let Some((rig, ids)) = scene("masking", &[(Code::ParseCorrupt, 1)]).await else { return };
    let [ours] = ids.try_into().expect("one letter");
    spring(&rig).await;
    assert_eq!(count(&rig, &["--text", "lovelace"]).await, 1);
    let rules =
        "{ fields: [$.user.email], patterns: ['[a-z]+@example.com'], headers: [auth*], quotes: true }";
    rig.reconfigure("quarantine: { ", &format!("quarantine: {{ masking: {rules}, "));

    for text in ["lovelace", "ada@"] {
        assert_eq!(count(&rig, &["--text", text]).await, 0, "the index is filled anew");
    }
    assert_eq!(count(&rig, &["--text", "cannot bill"]).await, 1);
    let groups = rig.ask(&["dlq", "groups", "--text", "bill", "-o", "json"]).await;
    assert_eq!(groups["groups"][0]["message"], "cannot bill '***' at ***");
    let line = exported(&rig, &["--payload", "--text", "bill"]).await.remove(0);
    assert_eq!(line["record"]["payload"], r#"{"user":{"email":"***","age":36},"note":"call ***"}"#);
    assert_eq!(line["record"]["headers"][0]["value"], "***");
    assert!(!line.to_string().contains("example.com") && !line.to_string().contains("Lovelace"), "{line}");

    let shown = rig.ask(&["dlq", "show", &ours, "--payload", "-o", "json"]).await;
    let (payload, key) = (&shown["payload"]["text"], &shown["key"]["text"]);
    assert_eq!((payload, key), (&"***".into(), &"job-0".into()), "{shown}");

    fails(&rig, 2, &["export", "--payload", "--unmask"]).await;
    let unmask = ["--payload", "--text", "bill", "--unmask", "--by", "kim", "--reason", "the customer asks"];
    let line = exported(&rig, &unmask).await.remove(0);
    assert!(
        line["record"]["payload"].as_str().is_some_and(|text| text.contains("ada@example.com")),
        "{line}"
    );
    assert_eq!(line["message"], "cannot bill 'Ada Lovelace' at ada@example.com");
    let audit = rig.ask(&["dlq", "audit", "--by", "kim", "-o", "json"]).await;
    let act = &audit["acts"][0];
    assert_eq!((&act["deed"], &act["reason"]), (&"unmasked".into(), &"the customer asks".into()));
    assert_eq!(act["letters"], serde_json::json!([line["id"]]));
}
