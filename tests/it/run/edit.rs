//! Dead letters that are edited and sent back, on the real Kafka: by the program, and by two who do it in the same moment.

use std::sync::Arc;

use lazaret::kafka::Producer;
use lazaret::kafka::client::reach;
use lazaret::ledger::State as JobState;
use lazaret::message::Record;
use lazaret::ops::dlq::edit::{Payload, Prepared, What as Edit, Wish, prepare};
use lazaret::ops::dlq::redrive::{Aside, Order, What, send_back};
use lazaret::ops::quarantine::selection::Target;
use lazaret::ops::quarantine::{self, edits};
use lazaret::ops::redrive::send::{Outgoing, SendError, Sender};
use lazaret::quarantine::Quarantine;
use serde_json::{Value, json};

use super::EMBED;
use super::peers::pipelines;
use crate::registry;
use crate::rig::{Rig, Worker, eventually, record};

/// What is dead at once, and does not make the stage pause.
const PERMANENT: &str = "classify: [{ code: llm.server_error, class: permanent }]";

/// A stage that fails what is marked, and so many that were dead of it.
async fn dead(test: &str, letters: usize) -> Option<(Rig, Worker, Vec<String>)> {
    let pipeline = EMBED.replacen("timeout: 10s", &format!("timeout: 10s, {PERMANENT}"), 1);
    let rig = Rig::new(test, &pipeline, "").await?;
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    rig.send((0..letters).map(|n| passages(&rig, n, &["a FAIL-ME passage"])).collect()).await;
    let worker = rig.worker(&[]).await;
    let are_dead = async || (rig.jobs("embed", "dead").await == letters as u64).then_some(());
    eventually("they are dead", are_dead).await;
    let ids = ids(&rig).await;
    Some((rig, worker, ids))
}

fn passages(rig: &Rig, n: usize, texts: &[&str]) -> lazaret::message::OutRecord {
    let passages: Vec<Value> =
        (0..).zip(texts).map(|(n, text): (u32, _)| json!({ "ordinal": n, "text": text })).collect();
    let value = json!({
        "document": { "id": format!("doc-{n}"), "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1, "passages": passages,
    });
    record(&rig.topic("in"), &[("job-id", &format!("job-{n}")), ("x-kind", "scan")], &value)
}

async fn ids(rig: &Rig) -> Vec<String> {
    let listed = rig.ask(&["dlq", "ls", "--limit", "1000", "-o", "json"]).await;
    let letters = listed["letters"].as_array().expect("letters").iter();
    letters.map(|letter| letter["id"].as_str().expect("an id").to_owned()).collect()
}

/// Runs `dlq`, and says with which code it ended and what it said.
async fn told(rig: &Rig, args: &[&str]) -> (i32, String) {
    let output = rig.output(&[&["dlq"], args].concat()).await;
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

const MEND: &str = r#"[{ "op": "replace", "path": "/passages/0/text", "value": "a healthy passage" }]"#;

/// Edits as kim, sure of it.
async fn edit(rig: &Rig, args: &[&str]) -> (i32, String) {
    told(rig, &[&["edit"], args, &["--by", "kim", "--reason", "the marker is gone", "--yes"]].concat()).await
}

async fn show(rig: &Rig, id: &str) -> Value {
    rig.ask(&["dlq", "show", id, "--payload", "-o", "json"]).await
}

/// A record as bytes that can be compared.
fn whole(record: &Record) -> impl PartialEq + std::fmt::Debug + use<> {
    (record.at.clone(), record.key.clone(), record.value.clone(), record.headers.clone())
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

async fn done(rig: &Rig, stage: &str, jobs: u64) {
    eventually("they are done", async || (rig.jobs(stage, "done").await == jobs).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_for_good_is_edited_sent_back_and_done_and_the_dead_letter_stays_as_it_is() {
    let Some((rig, mut worker, ids)) = dead("edit", 1).await else { return };
    let id = ids[0].as_str();
    let before: Vec<_> = rig.records("embed.dlq").await.iter().map(whole).collect();
    let (code, said) = told(&rig, &["redrive", id, "--by", "kim"]).await;
    assert!(code == 4 && said.contains("dlq edit"), "{code}\n{said}");

    let (code, said) = told(&rig, &["edit", id, "--patch", MEND, "--dry-run"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("payload/passages/0/text") && said.contains("+ \"a healthy passage\""), "{said}");
    assert!(said.contains("- \"a FAIL-ME passage\"") && !said.contains("payload/parts"), "{said}");
    for (wrong, code, why) in [
        (vec!["--merge", r#"{"passages": "none"}"#], 4, "its stage could not read it"),
        (vec!["--patch", r#"[{"op": "remove", "path": "/nowhere"}]"#], 4, "cannot be applied"),
        (vec!["--merge", r#"{"part": 0}"#], 3, "makes no difference"),
        (vec!["--set-header", "job-id=other"], 2, "is locked"),
        (vec!["--set-header", "producer-id=me"], 2, "--sensitive"),
        (vec!["--patch", "{"], 2, "--patch"),
        (vec!["--undo"], 4, "is not edited"),
    ] {
        let (ended, said) = edit(&rig, &[&[id], &wrong[..]].concat()).await;
        assert!(ended == code && said.contains(why), "{wrong:?} {ended}\n{said}");
    }
    assert!(rig.records("operations").await.is_empty(), "nothing was written down");

    let (code, said) =
        edit(&rig, &[id, "--patch", MEND, "--set-header", "x-kind=mended", "--unset-header", "gone"]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = edit(&rig, &[id, "--merge", r#"{"part": 1}"#]).await;
    assert!(code == 4 && said.contains("was edited by kim"), "{code}\n{said}");
    let shown = show(&rig, id).await;
    assert_eq!((&shown["edit"]["by"], &shown["edit"]["sent"]), (&json!("kim"), &json!(false)), "{shown}");
    assert_eq!(shown["edit_changes"][0]["after"], "a healthy passage", "{shown}");
    assert_eq!(
        shown["edit_changes"][1],
        json!({ "at": "headers/x-kind", "before": "scan", "after": "mended" })
    );
    assert_eq!(shown["payload"]["value"]["passages"][0]["text"], "a FAIL-ME passage", "that is what died");
    let (_, story) = told(&rig, &["show", id, "--payload"]).await;
    assert!(story.contains("edited        by kim") && story.contains("what was edited"), "{story}");

    let (code, said) = told(&rig, &["redrive", id, "--by", "kim"]).await;
    assert_eq!(code, 0, "what was edited has changed\n{said}");
    done(&rig, "embed", 1).await;
    let sent = rig.records("embed.redrive").await;
    assert_eq!(sent.len(), 1);
    assert!(text(&sent[0]).contains("a healthy passage"), "{}", text(&sent[0]));
    assert_eq!(sent[0].headers.text("x-kind"), Some("mended"));
    assert_eq!(sent[0].headers.text("lazaret.edit"), shown["edit"]["act"].as_str());
    let after: Vec<_> = rig.records("embed.dlq").await.iter().map(whole).collect();
    assert_eq!(before, after, "the dead letter is as it was, byte for byte");

    let (code, said) = edit(&rig, &[id, "--undo"]).await;
    assert!(code == 4 && said.contains("not open"), "{code}\n{said}");
    let audit = rig.ask(&["dlq", "audit", id, "-o", "json"]).await;
    let deeds: Vec<&str> =
        audit["acts"].as_array().expect("acts").iter().filter_map(|act| act["deed"].as_str()).collect();
    assert!(deeds.contains(&"edited") && deeds.contains(&"redriven"), "{audit}");
    assert!(!audit.to_string().contains("content"), "the index keeps no payloads: {audit}");
    let listed = async || rig.ask(&["dlq", "ls", "--state", "all", "-o", "json"]).await["letters"].clone();
    let known = listed().await;
    assert_eq!(known[0]["edit"]["sent"], true);
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    assert_eq!(listed().await, known, "all of it stands on Kafka");
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_for_the_record_before_is_not_the_answer_to_the_edited_one_which_is_paid_once() {
    let pipeline = EMBED.replacen("partitions: 3", "partitions: 3\n    record_max: 3KiB", 1);
    let Some(rig) = Rig::new("paid", &pipeline, "").await else { return };
    // Two vectors are more than the next topic takes, one is not.
    rig.send(vec![passages(&rig, 0, &["the first passage", "the second passage"])]).await;
    let mut worker = rig.worker(&[]).await;
    eventually("it is dead", async || (rig.jobs("embed", "dead").await == 1).then_some(())).await;
    let id = ids(&rig).await.remove(0);
    let life = async || {
        let events = rig.ledger().history("job-0").await.expect("a ledger");
        events.into_iter().filter(|event| event.stage == "embed").map(|event| event.kind).collect::<Vec<_>>()
    };
    assert_eq!(life().await, ["started", "stored", "condemned", "dead"]);

    let less = r#"[{ "op": "remove", "path": "/passages/1" }]"#;
    let (code, said) = edit(&rig, &[&id, "--patch", less, "--redrive"]).await;
    assert_eq!(code, 0, "{said}");
    done(&rig, "embed", 1).await;
    assert_eq!(life().await, ["started", "stored", "condemned", "dead", "started", "stored", "done"]);
    let output = rig.records("index").await;
    let payload: Value = serde_json::from_str(&text(&output[0])).expect("JSON");
    assert_eq!(payload["passages"].as_array().map(Vec::len), Some(1), "{payload}");

    // The same record once more, as after a crash before its offset was committed.
    let sent = rig.records("embed.redrive").await.remove(0);
    let copy = lazaret::message::OutRecord {
        topic: sent.at.topic.clone(),
        partition: Some(sent.at.partition),
        key: sent.key,
        value: sent.value,
        headers: sent.headers,
        timestamp: None,
    };
    rig.send(vec![copy]).await;
    eventually("the copy was looked at", async || {
        (life().await.last().map(String::as_str) == Some("duplicate")).then_some(())
    })
    .await;
    assert_eq!(life().await.iter().filter(|kind| *kind == "started").count(), 2, "it is not run again");
    assert_eq!(rig.records("index").await.len(), 1);
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_is_edited_as_json_and_written_with_the_schema_that_it_had() {
    let Some(url) = registry::url() else { return };
    let extra = format!("registry: {{ url: '{}', timeout: 5s }}", url.trim_end_matches('/'));
    let Some(rig) = Rig::new("editavro", &pipelines("avro"), &extra).await else { return };
    let pipeline = format!("{}-rag-answer", rig.name);
    rig.lazaret(&["schemas", "register"]);
    let codec = super::avro::questions(&rig);
    let empty = codec.encode(&json!({ "id": "q", "tenant": "acme", "text": "" })).await.expect("Avro");
    let question = record(&rig.topic("questions"), &[("job-id", "job-0")], &json!(null));
    rig.send(vec![lazaret::message::OutRecord { value: Some(empty.clone().into()), ..question }]).await;
    let mut worker = rig.worker(&["--pipeline", &pipeline]).await;
    eventually("it is dead", async || (rig.jobs("validate", "dead").await == 1).then_some(())).await;
    let id = ids(&rig).await.remove(0);
    let dlq = format!("{pipeline}.validate.dlq");
    let letters = async || {
        let found = crate::support::records(&rig.config, &[&dlq]).await;
        found.iter().map(whole).collect::<Vec<_>>()
    };
    let before = letters().await;
    let (code, said) = told(&rig, &["redrive", &id, "--by", "kim"]).await;
    assert_eq!(code, 4, "{said}");
    for (merge, why) in [
        (r#"{"text": 7}"#, "does not fit schema"),
        (r#"{"text": "  "}"#, "record.missing_field"),
        (r#"{"words": "What?"}"#, "no such field"),
    ] {
        let (code, said) = edit(&rig, &[&id, "--merge", merge]).await;
        assert!(code == 4 && said.contains(why), "{merge} {code}\n{said}");
    }
    let (code, said) = edit(&rig, &[&id, "--merge", r#"{"text": "What is a rung?"}"#, "--redrive"]).await;
    assert_eq!(code, 0, "{said}");
    done(&rig, "validate", 1).await;
    let sent = crate::support::records(&rig.config, &[&format!("{pipeline}.validate.redrive")]).await;
    let value = sent[0].value.as_deref().expect("a value");
    assert_eq!(value[..5], empty[..5], "the zero byte and the id of the schema");
    let read = codec.decode(&sent[0]).await.expect("Avro");
    assert_eq!(read, json!({ "id": "q", "tenant": "acme", "text": "What is a rung?" }));
    assert_eq!(letters().await, before, "the dead letter is as it was, byte for byte");
    assert!(worker.terminate().await.success());
}

async fn index(rig: &Rig) -> Arc<dyn Quarantine> {
    let index = quarantine::open(&rig.config).await.expect("an index");
    assert_eq!(quarantine::refresh(&rig.config, &index).await.expect("it follows"), None);
    index
}

async fn drafted(rig: &Rig, index: &Arc<dyn Quarantine>, id: &str, text: &str) -> Prepared {
    let patch = json!([{ "op": "replace", "path": "/passages/0/text", "value": text }]);
    let payload = Payload::Patch(serde_json::from_value(patch).expect("a patch"));
    let what = Edit::Edit(Box::new(Wish { payload, ..Wish::default() }));
    let target = Target::Letters(vec![id.to_owned()]);
    prepare(&rig.config, &**index, &target, 1, what).await.expect("it can be edited")
}

fn producer(rig: &Rig) -> Producer {
    Producer::new(&rig.config.kafka, &rig.topology, "test").expect("a producer")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_edits_in_the_same_moment_exactly_one_counts_and_that_one_is_sent() {
    let Some((rig, mut worker, ids)) = dead("atonce", 1).await else { return };
    let (index, producer) = (index(&rig).await, producer(&rig));
    let mut edits = Vec::new();
    for n in 0..5 {
        // All have seen that nobody has edited it.
        edits.push((n, drafted(&rig, &index, &ids[0], &format!("the passage of {n}")).await));
    }
    let (config, index, producer) = (&rig.config, &index, &producer);
    let edits = edits.into_iter().map(|(n, edit)| async move {
        let by = format!("editor-{n}");
        (n, edit.carry_out(config, index, producer, &by, "at once").await.expect("written"))
    });
    let done: Vec<_> = futures::future::join_all(edits).await;
    let (first, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, done)| done.lost.is_empty());
    let [(first, _)] = &first[..] else { panic!("{first:?}") };
    for (_, done) in lost {
        let why = &done.lost[0].why;
        assert!(done.letters.is_empty() && why.contains(&format!("was edited by editor-{first}")), "{why}");
    }
    let (code, said) = told(&rig, &["redrive", &ids[0], "--by", "kim"]).await;
    assert_eq!(code, 0, "{said}");
    self::done(&rig, "embed", 1).await;
    let sent = rig.records("embed.redrive").await;
    assert!(
        sent.len() == 1 && text(&sent[0]).contains(&format!("the passage of {first}")),
        "{}",
        text(&sent[0])
    );
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_and_a_redrive_in_the_same_moment_do_not_pass_each_other_unseen() {
    let Some((rig, mut worker, ids)) = dead("passing", 2).await else { return };
    let (index, producer) = (index(&rig).await, producer(&rig));
    let order = Order { what: What::Redrive, by: "ann".into(), reason: Some("it is mended".into()) };
    let [first, second] = &ids[..] else { panic!("{ids:?}") };

    // The redrive stands first on the topic: the edit does not count.
    let edit = drafted(&rig, &index, first, "too late").await;
    send_back(&rig.config, std::slice::from_ref(first), &order, Aside::Unchanged).await.expect("sent back");
    let late = edit.carry_out(&rig.config, &index, &producer, "kim", "at once").await.expect("written");
    assert!(late.letters.is_empty() && late.lost[0].why.contains("sent back"), "{late:?}");
    assert_eq!(index.find(first).await.expect("known")[0].edit, None);

    // The edit stands first: whoever does not know of it sends nothing.
    let operations = rig.topology.operations.clone().expect("a topic");
    let known = edits::known(&index, &operations).await.expect("a position");
    let letter = index.find(second).await.expect("known").remove(0);
    let edit = drafted(&rig, &index, second, "in time").await;
    let edited = edit.carry_out(&rig.config, &index, &producer, "kim", "at once").await.expect("written");
    assert!(edited.lost.is_empty(), "{edited:?}");
    let before = rig.records("embed.redrive").await.len();
    let cluster = reach(&rig.config.kafka, "test").await.expect("a cluster");
    let mut sender = Sender::open(&rig.config, cluster, &rig.name).await.expect("a sender");
    let unaware = Outgoing { letter: letter.entry.clone(), redrives: 1, archived: None, edit: None };
    let refused = sender.send(vec![unaware], &order, known).await;
    assert!(matches!(&refused, Err(SendError::Again(why)) if why.contains("was edited")), "{refused:?}");
    assert_eq!(rig.records("embed.redrive").await.len(), before);

    // Knowing, it sends the edited one.
    let known = edits::known(&index, &operations).await.expect("a position");
    let letter = index.find(second).await.expect("known").remove(0);
    let aware = Outgoing { letter: letter.entry, redrives: 1, archived: None, edit: letter.edit };
    let sent = sender.send(vec![aware], &order, known).await.expect("sent");
    assert_eq!((sent.sent.len(), sent.gone.len()), (1, 0));
    let all = rig.records("embed.redrive").await;
    assert!(all.iter().any(|record| text(record).contains("in time")));
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_again_after_an_edit_says_so_and_can_be_edited_again() {
    let Some((rig, mut worker, first)) = dead("again", 1).await else { return };
    let worse = r#"[{ "op": "replace", "path": "/passages/0/text", "value": "another FAIL-ME passage" }]"#;
    let (code, said) = edit(&rig, &[&first[0], "--patch", worse, "--redrive"]).await;
    assert_eq!(code, 0, "{said}");
    let second =
        eventually("it died again", async || ids(&rig).await.into_iter().find(|id| *id != first[0])).await;
    let shown = show(&rig, &second).await;
    assert_eq!(
        (&shown["edit_of"]["letter"], &shown["edit_of"]["by"]),
        (&json!(first[0]), &json!("kim")),
        "{shown}"
    );
    assert_eq!(shown["payload"]["value"]["passages"][0]["text"], "another FAIL-ME passage", "{shown}");
    assert_eq!(shown["edit"], Value::Null);
    let (code, said) = edit(&rig, &[&first[0], "--patch", MEND]).await;
    assert!(code == 4, "{said}");
    let (code, said) = edit(&rig, &[&second, "--patch", MEND, "--redrive"]).await;
    assert_eq!(code, 0, "{said}");
    done(&rig, "embed", 1).await;
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_edited_at_once_and_a_plan_that_was_frozen_before_sends_them_as_they_are_edited() {
    let Some((rig, mut worker, ids)) = dead("bulk", 4).await else { return };
    let plan = rig.ask(&["redrive", "plan", "--stage", "embed", "--by", "kim", "-o", "json"]).await;
    let plan = plan["id"].as_str().expect("an id");
    let start = async || {
        let args = ["redrive", "start", plan, "--by", "kim", "--reason", "edited", "--yes", "-o", "json"];
        let output = rig.output(&args).await;
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = start().await;
    assert!(code == Some(4) && said.contains("4 letters failed for good"), "{said}");

    let (code, said) = edit(&rig, &["--stage", "embed", "--patch", MEND, "--max", "3"]).await;
    assert!(code == 4 && said.contains("--max 4"), "{said}");
    let dry = rig.ask(&["dlq", "edit", "--stage", "embed", "--patch", MEND, "--dry-run", "-o", "json"]).await;
    assert_eq!(dry["letters"].as_array().map(Vec::len), Some(4), "{dry}");
    assert_eq!(dry["samples"].as_array().map(Vec::len), Some(4), "{dry}");
    let (code, said) = edit(&rig, &["--stage", "embed", "--patch", MEND]).await;
    assert!(code == 0 && said.contains("4 dead letters are edited"), "{said}");
    let (code, said) = edit(&rig, &["--undo", &ids[0]]).await;
    assert!(code == 0 && said.contains("as it died again"), "{said}");
    let (code, said) = start().await;
    assert!(code == Some(4) && said.contains("1 letters failed for good"), "{said}");
    let (code, said) = edit(&rig, &[&ids[0], "--patch", MEND]).await;
    assert_eq!(code, 0, "what was taken back can be edited anew\n{said}");

    let again = rig.ask(&["redrive", "plan", "--stage", "embed", "--dry-run", "-o", "json"]).await;
    assert_eq!((&again["plan"]["edited"], &again["plan"]["permanent"]), (&json!(4), &json!({})), "{again}");
    let (code, said) = start().await;
    assert_eq!(code, Some(0), "{said}");
    done(&rig, "embed", 4).await;
    let sent = rig.records("embed.redrive").await;
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|record| text(record).contains("a healthy passage")));
    for n in 0..4 {
        let job = rig.ledger().job(&rig.name, "embed", &format!("job-{n}")).await.expect("a ledger");
        assert_eq!(job.map(|job| (job.state, job.redrives)), Some((JobState::Done, 1)));
    }
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_masked_is_edited_without_being_seen_and_opened_only_with_a_note_of_who_saw_it() {
    let Some((rig, mut worker, ids)) = dead("masked", 1).await else { return };
    let masking = "masking: { fields: [passages.text], headers: [x-kind] }, operations:";
    rig.reconfigure("operations:", masking);
    let id = ids[0].as_str();
    let (code, said) = told(&rig, &["edit", id, "--patch", MEND, "--dry-run"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("(not shown)") && !said.contains("FAIL-ME") && !said.contains("healthy"), "{said}");
    let copied = r#"[{ "op": "copy", "from": "/passages/0/text", "path": "/document/title" }]"#;
    let (code, said) = told(&rig, &["edit", id, "--patch", copied, "--dry-run"]).await;
    assert!(code == 4 && said.contains("could tell what") && !said.contains("FAIL-ME"), "{said}");
    let (code, said) = edit(&rig, &[id, "--set-header", "x-kind=a"]).await;
    assert!(code == 2 && said.contains("is sensitive"), "{code}\n{said}");

    let by_hand = async |more: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lazaret"));
        command.arg("--config").arg(rig.path("lazaret.yaml")).args(["dlq", "edit", id]);
        command.args(["--by", "kim", "--reason", "a look was needed", "--yes"]).args(more);
        command.env("VISUAL", "sed -i s/FAIL-ME/healthy/");
        let output = command.output().await.expect("lazaret runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = by_hand(&[]).await;
    assert!(code == Some(4) && said.contains("--unmask"), "{said}");
    let (code, said) = by_hand(&["--unmask", "--redrive"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("FAIL-ME"), "what is told is masked all the same: {said}");
    done(&rig, "embed", 1).await;
    let (_, story) = told(&rig, &["show", id, "--payload"]).await;
    assert!(story.contains("what was edited") && !story.contains("FAIL-ME"), "{story}");
    let audit = rig.ask(&["dlq", "audit", id, "-o", "json"]).await;
    let deeds: Vec<&str> =
        audit["acts"].as_array().expect("acts").iter().rev().filter_map(|act| act["deed"].as_str()).collect();
    assert_eq!(deeds[..3], ["unmasked", "edited", "redriven"], "{audit}");
    assert!(worker.terminate().await.success());
}

const TRIMMED: &str =
    "/passages/0/text=payload.passages[0].text.replace('FAIL-ME', 'healthy ' + tenant).trim()";

#[tokio::test(flavor = "multi_thread")]
async fn many_are_edited_by_an_expression_that_is_carried_out_on_each() {
    let Some((rig, _worker, ids)) = dead("edit-set", 2).await else { return };
    for (wrong, code, why) in [
        (vec!["--set", "/part"], 2, "has no '='"),
        (vec!["--set", "/part=paylod.part"], 2, "there is no 'paylod'"),
        (vec!["--set", "/part=1", "--merge", "{}"], 2, "--merge"),
        (vec!["--set", "/part=payload.nowhere"], 4, "'/part=payload.nowhere' cannot be carried out"),
        (vec!["--set", "/passages='none'"], 4, "its stage could not read it"),
        (vec!["--set", "/part=payload.part"], 3, "makes no difference"),
    ] {
        let (ended, said) = edit(&rig, &[&[ids[0].as_str()], &wrong[..]].concat()).await;
        assert!(ended == code && said.contains(why), "{wrong:?} {ended}\n{said}");
        assert!(code != 4 || said.contains(&ids[0]), "it is said with which letter: {said}");
    }
    let (code, said) = told(&rig, &["edit", "--stage", "embed", "--set", TRIMMED, "--dry-run"]).await;
    assert!(code == 0 && said.contains("+ \"a healthy acme passage\""), "{code}\n{said}");
    let flags =
        ["--stage", "embed", "--set", TRIMMED, "--set", "/document/version=payload.document.version + 1"];
    let (code, said) =
        edit(&rig, &[&flags[..], &["--set-header", "x-kind=mended", "--redrive"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    done(&rig, "embed", 2).await;
    for record in rig.records("embed.redrive").await {
        let sent: Value = serde_json::from_str(&text(&record)).expect("JSON");
        assert_eq!(sent["passages"][0]["text"], "a healthy acme passage");
        assert_eq!(
            (&sent["document"]["version"], record.headers.text("x-kind")),
            (&json!(2), Some("mended"))
        );
    }
}
