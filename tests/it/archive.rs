//! Dead letters that Kafka has deleted: kept in a folder or a store, still open, sent back, and restored byte for byte.

use std::path::{Path, PathBuf};

use lazaret::archive::unpack;
use lazaret::flow::Code;
use lazaret::message::Record;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::acts::{count, fails, scene};
use crate::rig::{Rig, eventually, job, record};

const FOLDER: &str = "archive: { to: '{folder}/archive', after: 1ms, every: 1s, before: 2s }";

/// Has the processes of this test archive so.
fn archive(rig: &Rig, settings: &str) {
    let settings = settings.replace("{folder}", &rig.folder.path().display().to_string());
    rig.reconfigure("quarantine: {", &format!("quarantine: {{ {settings},"));
}

/// The same in the S3 store that all tests share.
fn store(rig: &Rig) -> Option<String> {
    let Ok(endpoint) = std::env::var("LAZARET_TEST_S3") else {
        assert!(
            std::env::var_os("LAZARET_TEST_SKIP_REAL").is_some(),
            "scripts/parts.sh s3 start starts a store; LAZARET_TEST_SKIP_REAL=1 passes these tests over"
        );
        return None;
    };
    let bucket = std::env::var("LAZARET_TEST_S3_BUCKET").expect("a bucket");
    let keys =
        "access_key: { env: LAZARET_TEST_S3_ACCESS_KEY }, secret_key: { env: LAZARET_TEST_S3_SECRET_KEY }";
    Some(format!(
        "archive: {{ to: 's3://{bucket}/{}', after: 1ms, every: 1s, before: 2s, \
         s3: {{ endpoint: '{endpoint}', allow_http: true, {keys} }} }}",
        rig.name
    ))
}

fn admin(rig: &Rig) -> AdminClient<DefaultClientContext> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &rig.config.kafka.bootstrap).create().expect("a client")
}

/// Has Kafka delete what stands on the topic.
async fn delete(rig: &Rig, topic: &str, partitions: i32) {
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(&rig.topic(topic), partition, Offset::End).expect("an offset");
    }
    admin(rig).delete_records(&all, &AdminOptions::new()).await.expect("deleted");
}

async fn keep(rig: &Rig) -> Value {
    rig.ask(&["archive", "run", "--once", "-o", "json"]).await
}

async fn restore(rig: &Rig, args: &[&str]) -> Value {
    let by = ["--by", "kim", "--reason", "the audit wants them", "--yes", "-o", "json"];
    rig.ask(&[&["archive", "restore"], args, &by].concat()).await
}

/// What is archived, by itself and of each letter.
async fn known(rig: &Rig) -> Vec<Value> {
    let listed = rig.ask(&["dlq", "ls", "--state", "all", "-o", "json"]).await;
    listed["letters"].as_array().expect("letters").clone()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

fn objects(rig: &Rig) -> Vec<PathBuf> {
    let all = files(&rig.path("archive")).into_iter();
    all.filter(|path| path.extension().is_some_and(|kind| kind == "avro")).collect()
}

/// Key, value and headers.
type Bytes<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Vec<(&'a str, Option<&'a [u8]>)>);

/// All of a record but where it stands, and when.
fn bytes(record: &Record) -> Bytes<'_> {
    (record.key.as_deref(), record.value.as_deref(), record.headers.iter().collect())
}

fn passage(rig: &Rig, n: usize) -> lazaret::message::OutRecord {
    let value = json!({
        "document": { "id": format!("doc-{n}"), "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": "a FAIL-ME passage" }],
    });
    let mut record = record(&rig.topic("in"), &[("job-id", &format!("job-{n}")), ("x", "1")], &value);
    record.headers.push("x", Some(vec![0xff, 0x00]));
    record.headers.push("empty", None);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_has_deleted_stays_open_and_is_sent_back_and_restored_byte_for_byte() {
    let permanent = "timeout: 10s, classify: [{ code: llm.server_error, class: permanent }]";
    let pipeline = crate::run::EMBED.replacen("timeout: 10s", permanent, 1);
    let Some(rig) = Rig::new("archive", &pipeline, "").await else { return };
    archive(&rig, FOLDER);
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    rig.send((0..6).map(|n| passage(&rig, n)).collect()).await;
    let mut worker = rig.worker(&[]).await;
    eventually("they are dead", async || (rig.jobs("embed", "dead").await == 6).then_some(())).await;
    let originals = rig.records("embed.dlq").await;
    assert_eq!(originals.len(), 6);

    let kept = keep(&rig).await;
    assert_eq!((&kept["kept"]["letters"], &kept["kept"]["lost"]), (&json!(6), &json!(0)), "{kept}");
    assert_eq!(keep(&rig).await["kept"]["letters"], 0, "what is archived is not archived again");
    let listed = rig.ask(&["archive", "ls", "--stage", "embed", "-o", "json"]).await;
    let letters = listed["objects"].as_array().expect("objects").iter().map(|one| one["letters"].as_u64());
    assert_eq!(letters.flatten().sum::<u64>(), 6, "{listed}");
    let verified = rig.ask(&["archive", "verify", "-o", "json"]).await;
    assert_eq!(
        (&verified["letters"], &verified["damaged"], &verified["strays"]),
        (&json!(6), &json!([]), &json!(0))
    );

    delete(&rig, "embed.dlq", 3).await;
    assert!(rig.records("embed.dlq").await.is_empty(), "Kafka has none of them any more");
    assert_eq!(count(&rig, &["--state", "open"]).await, 6);
    let before = known(&rig).await;
    assert!(before.iter().all(|one| one["kept"] == "archive"), "{before:?}");
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    assert_eq!(known(&rig).await, before, "built anew from nothing it is the same");
    let id = before[0]["id"].as_str().expect("an id").to_owned();
    let shown = rig.ask(&["dlq", "show", &id, "--payload", "-o", "json"]).await;
    assert_eq!(shown["record"], "there", "{shown}");
    assert_eq!(shown["payload"]["value"]["passages"][0]["text"], "a FAIL-ME passage");

    // Two of them back to where they stood.
    let two: Vec<&str> = before.iter().take(2).map(|one| one["id"].as_str().expect("an id")).collect();
    assert_eq!(restore(&rig, &two).await["letters"], 2);
    let restored = rig.records("embed.dlq").await;
    assert_eq!(restored.len(), 2);
    for record in &restored {
        let original = originals.iter().find(|one| job(one) == job(record)).expect("an original");
        assert_eq!(bytes(record), bytes(original));
        assert_eq!(record.at.partition, original.at.partition);
        assert!(record.at.timestamp > original.at.timestamp, "or Kafka might delete it at once");
    }
    assert_eq!(count(&rig, &["--state", "all"]).await, 6, "each is there once");
    let after = known(&rig).await;
    assert_eq!(after.iter().filter(|one| one["kept"] == "both").count(), 2, "{after:?}");
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    assert_eq!(known(&rig).await, after, "built anew from nothing it is the same");
    let told = fails_to_restore(&rig, 3, &two).await;
    assert!(told.contains("2 dead letters still stand on their topic"), "{told}");

    // All of them are sent back, most out of the archive, and done.
    rig.faults(json!({ "marked": null })).await;
    let plan = rig.ask(&["redrive", "plan", "--stage", "embed", "--by", "kim", "-o", "json"]).await;
    let run = plan["id"].as_str().expect("an id");
    let start =
        ["redrive", "start", run, "--override", "changed", "--by", "kim", "--reason", "mended", "--yes"];
    assert!(rig.tell(&start).await);
    let report = rig.ask(&["redrive", "report", run, "-o", "json"]).await;
    assert_eq!(
        (&report["tally"]["succeeded"], &report["tally"]["expired"]),
        (&json!(6), &json!(0)),
        "{report}"
    );
    assert_eq!(rig.records("out").await.len(), 6);
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_topic_is_made_anew_what_is_archived_stays_open_and_is_restored() {
    let permanent = "timeout: 10s, classify: [{ code: llm.server_error, class: permanent }]";
    let pipeline = crate::run::EMBED.replacen("timeout: 10s", permanent, 1);
    let Some(rig) = Rig::new("archive-anew", &pipeline, "").await else { return };
    archive(&rig, FOLDER);
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    rig.send((0..6).map(|n| passage(&rig, n)).collect()).await;
    let mut worker = rig.worker(&[]).await;
    eventually("they are dead", async || (rig.jobs("embed", "dead").await == 6).then_some(())).await;
    assert!(worker.terminate().await.success());
    assert_eq!(keep(&rig).await["kept"]["letters"], 6);
    let ids = |letters: &[Value]| -> Vec<String> {
        letters.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
    };
    let before = known(&rig).await;

    let topic = rig.topic("embed.dlq");
    let deleted = admin(&rig).delete_topics(&[&topic], &AdminOptions::new()).await.expect("an answer");
    deleted.into_iter().for_each(|one| _ = one.expect("deleted"));
    eventually("it is made anew", async || rig.tell(&["topics", "apply"]).await.then_some(())).await;
    let told = rig.output(&["dlq", "ls", "-o", "json"]).await;
    assert!(String::from_utf8_lossy(&told.stderr).contains("ops rebuild"), "{told:?}");
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    let open =
        || async { known(&rig).await.into_iter().filter(|one| one["state"] == "open").collect::<Vec<_>>() };
    let after = open().await;
    assert_eq!(ids(&after), ids(&before));
    assert!(after.iter().all(|one| one["kept"] == "archive"), "{after:?}");

    // Where the first of them stood, another stands now.
    let one = ids(&after).remove(0);
    assert_eq!(restore(&rig, &[&one]).await["letters"], 1);
    let kept = |letters: Vec<Value>| -> usize { letters.iter().filter(|one| one["kept"] == "both").count() };
    assert_eq!(kept(open().await), 1);
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    assert_eq!(kept(open().await), 1, "built anew from nothing it is the same");
    assert_eq!(open().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_archive_has_is_found_once_it_can_be_read_again() {
    let Some((rig, _)) = scene("archive-away", &[(Code::ParseCorrupt, 3)]).await else { return };
    archive(&rig, FOLDER);
    assert_eq!(keep(&rig).await["kept"]["letters"], 3);
    delete(&rig, "parse.dlq", 2).await;
    // The index is lost, and the archive cannot be read for now.
    let (away, there) = (rig.path("away"), rig.path("archive"));
    std::fs::rename(&there, &away).expect("moved");
    std::fs::write(&there, "no folder").expect("written");
    let told = rig.output(&["ops", "rebuild", "-o", "json"]).await;
    assert!(!told.status.success(), "{told:?}");
    let told = rig.output(&["dlq", "ls", "-o", "json"]).await;
    assert!(!told.status.success(), "what is not known is not nothing: {told:?}");
    std::fs::remove_file(&there).expect("removed");
    // As one that is not mounted.
    let told = rig.output(&["dlq", "ls", "-o", "json"]).await;
    assert!(String::from_utf8_lossy(&told.stderr).contains("is it the archive?"), "{told:?}");
    std::fs::remove_dir(&there).expect("removed");
    std::fs::rename(&away, &there).expect("moved back");
    assert_eq!(count(&rig, &["--state", "open"]).await, 3, "nobody has to rebuild anything");
}

/// Runs the verb and reads what it says on standard error.
async fn fails_to_restore(rig: &Rig, code: i32, args: &[&str]) -> String {
    let by = ["--by", "kim", "--reason", "x", "--yes"];
    let output = rig.output(&[&["archive", "restore"], args, &by].concat()).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_was_changed_is_found_and_what_it_belongs_to_is_not_used() {
    let Some((rig, ids)) = scene("changed", &[(Code::ParseCorrupt, 3)]).await else { return };
    archive(&rig, FOLDER);
    keep(&rig).await;
    delete(&rig, "parse.dlq", 2).await;
    assert_eq!(count(&rig, &["--state", "open"]).await, 3);
    let object = objects(&rig).remove(0);
    let good = std::fs::read(&object).expect("an object");
    let mut bad = good.clone();
    *bad.last_mut().expect("a byte") ^= 1;
    std::fs::write(&object, &bad).expect("changed");

    let output = rig.output(&["archive", "verify", "-o", "json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let [damaged] = found["damaged"].as_array().expect("a list").as_slice() else { panic!("{found}") };
    assert!(damaged["why"].as_str().is_some_and(|why| why.contains("SHA-256")), "{damaged}");
    let in_it = async |object: &Value| {
        let shown = rig.ask(&["archive", "show", object.as_str().expect("a name"), "-o", "json"]).await;
        shown["letters"][0]["id"].as_str().expect("an id").to_owned()
    };
    let one = in_it(&damaged["object"]).await;
    assert!(ids.contains(&one));
    let shown = rig.ask(&["dlq", "show", &one, "-o", "json"]).await;
    assert_eq!(shown["record"], "unread", "{shown}");
    let told = fails(&rig, 1, &["redrive", &one, "--force", "--by", "kim", "--reason", "x"]).await;
    assert!(told.contains("is not what was archived") && told.contains(&one), "{told}");
    assert!(rig.records("parse.redrive").await.is_empty(), "nothing was sent");
    let told = fails_to_restore(&rig, 1, &[&one]).await;
    assert!(told.contains("is not what was archived"), "{told}");
    assert!(rig.records("parse.dlq").await.is_empty());

    std::fs::write(&object, &good).expect("mended");
    assert!(rig.tell(&["archive", "verify"]).await);
    assert!(rig.tell(&["dlq", "redrive", &one, "--force", "--by", "kim", "--reason", "x"]).await);
    std::fs::remove_file(&object).expect("removed");
    assert_eq!(
        rig.output(&["archive", "verify"]).await.status.code(),
        Some(1),
        "one that is missing is found"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_an_act_is_nothing_and_is_written_over() {
    let Some((rig, _)) = scene("between", &[(Code::ParseCorrupt, 3)]).await else { return };
    archive(&rig, FOLDER);
    // The object is written, and then the act is refused: as if the process had died in between.
    let (admin, operations) = (admin(&rig), rig.topology.operations.clone().expect("a topic"));
    let limit = async |bytes: &str| {
        let specifier = ResourceSpecifier::Topic(&operations);
        let config = AlterConfig::new(specifier).set("max.message.bytes", bytes);
        admin.alter_configs(&[config], &AdminOptions::new()).await.expect("altered");
    };
    limit("10").await;
    let failed = eventually("the act is refused", async || {
        let output = rig.output(&["archive", "run", "--once"]).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code() == Some(1)).then_some(told)
    })
    .await;
    assert!(failed.contains("it cannot be written down"), "{failed}");
    let left = objects(&rig);
    assert!(!left.is_empty());
    assert!(known(&rig).await.iter().all(|one| one["kept"] == "kafka"));
    limit("1000000").await;
    eventually("it is archived", async || {
        let output = rig.output(&["archive", "run", "--once", "-o", "json"]).await;
        output.status.success().then_some(())
    })
    .await;
    assert!(known(&rig).await.iter().all(|one| one["kept"] == "both"));
    let names: Vec<_> = objects(&rig);
    assert!(left.iter().all(|object| names.contains(object)), "the same letters are the same object");
    let verified = rig.ask(&["archive", "verify", "-o", "json"]).await;
    assert_eq!((&verified["letters"], &verified["strays"]), (&json!(3), &json!(0)), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_store_keeps_them_as_well_and_they_are_written_into_a_file() {
    let Some((rig, ids)) = scene("store", &[(Code::ParseCorrupt, 4)]).await else { return };
    let Some(settings) = store(&rig) else { return };
    archive(&rig, &settings);
    let originals = rig.records("parse.dlq").await;
    assert_eq!(keep(&rig).await["kept"]["letters"], 4);
    delete(&rig, "parse.dlq", 2).await;
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    assert_eq!(count(&rig, &["--state", "open"]).await, 4);
    assert!(rig.tell(&["archive", "verify"]).await);

    let file = rig.path("letters.avro");
    let done = restore(&rig, &["--stage", "parse", "--to", file.to_str().expect("a path")]).await;
    assert_eq!(done["letters"], 4, "{done}");
    let letters = unpack(&std::fs::read(&file).expect("a file")).expect("a container");
    assert_eq!(letters.len(), 4);
    for letter in &letters {
        assert!(ids.contains(&letter.id));
        assert!(originals.contains(&letter.record), "byte for byte, with place and time");
    }
    let operation = done["operation"].as_str().expect("an operation");
    let audit = rig.ask(&["dlq", "audit", "--operation", operation, "-o", "json"]).await;
    assert_eq!((&audit["acts"][0]["deed"], &audit["acts"][0]["by"]), (&json!("recalled"), &json!("kim")));

    let discard = ["dlq", "discard", &ids[0], "--force", "--by", "kim", "--reason", "no longer wanted"];
    assert!(rig.tell(&discard).await, "read from the store");
    let sent = rig.records("parse.redrive").await;
    assert_eq!(sent[0].value.as_deref(), Some(b"\x00\x01payload".as_slice()));
    assert_eq!(restore(&rig, &[&ids[1]]).await["letters"], 1);
    assert_eq!(rig.records("parse.dlq").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_archives_by_itself_and_what_is_open_leaves_the_archive_only_when_that_is_said() {
    let Some((rig, ids)) = scene("leaves", &[(Code::ParseCorrupt, 3)]).await else { return };
    archive(&rig, &FOLDER.replace("after: 1ms", "after: 1ms, delete_after: 1ms"));
    let mut ops = rig.serve("ops", &[]).await;
    let metrics = eventually("they are archived", async || {
        let text = ops.metrics().await;
        let is_told = |line: &str| line.starts_with("lazaret_archive_records_total") && line.ends_with(" 3");
        let archived = text.lines().any(is_told) && text.contains("lazaret_dlq_standing_bytes{");
        (archived && text.contains("lazaret_archive_last_success_timestamp_seconds")).then_some(text)
    })
    .await;
    assert!(
        !metrics
            .lines()
            .any(|line| line.starts_with("lazaret_archive_failures_total") && !line.ends_with(" 0"))
    );
    assert!(ops.terminate().await.success());
    delete(&rig, "parse.dlq", 2).await;
    let kept = keep(&rig).await;
    let held = objects(&rig).len();
    assert_eq!((&kept["removed"]["objects"], &kept["removed"]["held"]), (&json!(0), &json!(held)), "{kept}");
    assert_eq!(count(&rig, &["--state", "open"]).await, 3, "what is open stays");

    rig.reconfigure("delete_after: 1ms", "delete_after: 1ms, delete_open: true");
    let removed = keep(&rig).await["removed"].clone();
    assert_eq!((&removed["letters"], &removed["discarded"]), (&json!(3), &json!(3)), "{removed}");
    assert!(objects(&rig).is_empty());
    assert_eq!(count(&rig, &["--state", "discarded"]).await, 3);
    let audit = rig.ask(&["dlq", "audit", &ids[0], "--by", "rule:retention", "-o", "json"]).await;
    let deeds: Vec<_> =
        audit["acts"].as_array().expect("acts").iter().map(|act| act["deed"].clone()).collect();
    assert_eq!(deeds, ["unarchived", "discarded"], "{audit}");
    assert_eq!(rig.records("parse.redrive").await.len(), 3, "the stage settles them");
    assert_eq!(rig.output(&["archive", "ls"]).await.status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_is_not_used_by_mistake() {
    let Some((rig, ids)) = scene("mistake", &[(Code::ParseCorrupt, 1)]).await else { return };
    let output = rig.output(&["archive", "run", "--once"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("this configuration has no archive"), "{told}");
    archive(&rig, FOLDER);
    let told = fails_to_restore(&rig, 3, &[&ids[0]]).await;
    assert!(told.contains("1 are not in the archive"), "{told}");
    keep(&rig).await;
    let told = fails_to_restore(&rig, 2, &[&ids[0], "--to-topic", &rig.topic("parse.dlq")]).await;
    assert!(told.contains("is read by Lazaret"), "{told}");
    let told = fails_to_restore(&rig, 4, &[&ids[0], "--to-topic", &rig.topic("nowhere")]).await;
    assert!(told.contains("there is no topic"), "{told}");
    let output = rig.output(&["archive", "restore", &ids[0], "--by", "kim", "--reason", "x"]).await;
    assert_eq!(output.status.code(), Some(3), "it still stands on its topic");
}
