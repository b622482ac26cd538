//! What people do with dead letters, by the program alone on a real Kafka: said, shown, counted and found again.

use lazaret::flow::Code;
use serde_json::{Value, json};

use crate::dlq::dead;
use crate::rig::Rig;

pub const PIPELINE: &str = "  {p}:
    input: { topic: '{p}.in' }
    output: { topic: '{p}.out' }
    partitions: 2
    retry: { rungs: [1s] }
    stages: [ { name: validate, kind: validate }, { name: parse, kind: parse } ]
";

/// A pipeline in which so many jobs died of each of these.
pub async fn scene(test: &str, deaths: &[(Code, usize)]) -> Option<(Rig, Vec<String>)> {
    let rig = Rig::new(test, PIPELINE, "").await?;
    let jobs = deaths.iter().flat_map(|(code, count)| std::iter::repeat_n(*code, *count)).enumerate();
    let (letters, records): (Vec<_>, Vec<_>) =
        jobs.map(|(n, code)| dead(&rig.name, &format!("job-{n}"), code)).unzip();
    rig.send(records).await;
    Some((rig, letters.into_iter().map(|letter| letter.id).collect()))
}

/// Runs a verb as kim, sure of it, and reads what it says.
async fn kim(rig: &Rig, args: &[&str]) -> Value {
    let args: Vec<&str> = [&["dlq"], args, &["--by", "kim", "--yes", "-o", "json"]].concat();
    rig.ask(&args).await
}

/// Runs a verb that ends with this code, and reads what it says on standard error.
pub async fn fails(rig: &Rig, code: i32, args: &[&str]) -> String {
    let output = rig.output(&[&["dlq"], args].concat()).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{told}");
    told
}

pub async fn count(rig: &Rig, args: &[&str]) -> u64 {
    let output = rig.output(&[&["dlq", "count", "-o", "json"], args].concat()).await;
    let counted: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    counted["count"].as_u64().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_of_dead_letters_counts_and_can_be_found_again() {
    let deaths = [(Code::ParseCorrupt, 3), (Code::LlmTimeout, 2)];
    let Some((rig, ids)) = scene("acts", &deaths).await else { return };

    let recoded =
        kim(&rig, &["reclassify", "--code", "llm", "--to", "parse.encoding", "--reason", "it is the file"])
            .await;
    assert_eq!((&recoded["letters"], &recoded["deed"]), (&json!(2), &json!("reclassified")), "{recoded}");
    assert_eq!(count(&rig, &["--code", "llm"]).await, 0);
    assert_eq!(count(&rig, &["--code", "parse", "--class", "permanent"]).await, 5);

    let groups = rig.ask(&["dlq", "groups", "--code", "parse.corrupt", "-o", "json"]).await;
    let print = groups["groups"][0]["fingerprint"].as_str().expect("a group").to_owned();
    let of_group = async |args: &[&str]| kim(&rig, &[args, &["--group", &print]].concat()).await;
    assert_eq!(of_group(&["note", "-m", "the scanner of floor 3"]).await["groups"], 1);
    assert_eq!(of_group(&["assign", "--to", "ops-team"]).await["groups"], 1);
    assert_eq!(of_group(&["link", "--to", "T-17"]).await["groups"], 1);
    assert_eq!(of_group(&["resolve", "--reason", "it is mended"]).await["groups"], 1);
    let groups = rig.ask(&["dlq", "groups", "--group", &print, "-o", "json"]).await;
    let group = &groups["groups"][0];
    assert_eq!(
        [&group["note"], &group["owner"], &group["ticket"], &group["regressed"]],
        [&json!("the scanner of floor 3"), &json!("ops-team"), &json!("T-17"), &json!(false)]
    );

    let note = kim(&rig, &["note", &ids[0][..10], &ids[1], "-m", "asked the customer"]).await;
    assert_eq!((&note["letters"], &note["groups"]), (&json!(2), &json!(0)));
    let operation = note["operation"].as_str().expect("an operation");
    let audit = async |args: &[&str]| {
        let audit = rig.ask(&[&["dlq", "audit", "-o", "json"], args].concat()).await;
        audit["acts"].as_array().expect("acts").clone()
    };
    let [act] = audit(&["--operation", operation]).await.try_into().expect("one act");
    assert_eq!((&act["by"], &act["text"]), (&json!("kim"), &json!("asked the customer")));
    assert_eq!(act["letters"], json!([ids[0], ids[1]]));
    let deeds = |acts: Vec<Value>| acts.into_iter().map(|act| act["deed"].clone()).collect::<Vec<_>>();
    assert_eq!(deeds(audit(&["--group", &print]).await), ["resolved", "linked", "assigned", "noted"]);
    assert_eq!(deeds(audit(&["--by", "kim", "--limit", "2"]).await), ["noted", "resolved"]);
    assert_eq!(deeds(audit(&[&ids[4]]).await), ["reclassified"]);
    fails(&rig, 3, &["audit", "--by", "nobody"]).await;

    let before = rig.ask(&["dlq", "groups", "--state", "all", "-o", "json"]).await;
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    let after = rig.ask(&["dlq", "groups", "--state", "all", "-o", "json"]).await;
    assert_eq!(before, after, "built anew it is the same");
    assert_eq!(audit(&[]).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_taken_back() {
    let Some((rig, ids)) = scene("restore", &[(Code::ParseCorrupt, 3)]).await else { return };
    let discard =
        ["dlq", "discard", "--force", "--by", "ann", "--reason", "no longer wanted", &ids[0], &ids[1]];
    assert!(rig.tell(&discard).await);
    assert_eq!(count(&rig, &["--state", "discarded"]).await, 2);
    let told = fails(&rig, 4, &["restore", &ids[2], "--reason", "x", "--by", "kim", "--yes"]).await;
    assert!(told.contains("is open, not discarded"), "{told}");
    let dry = kim(&rig, &["restore", "--stage", "parse", "--reason", "wanted after all", "--dry-run"]).await;
    assert_eq!(dry["letters"].as_array().map(Vec::len), Some(2), "{dry}");
    assert_eq!(count(&rig, &["--state", "discarded"]).await, 2, "a dry run changes nothing");
    let done = kim(&rig, &["restore", "--stage", "parse", "--reason", "wanted after all"]).await;
    assert_eq!(done["letters"], 2);
    assert_eq!(count(&rig, &["--state", "open"]).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_that_nobody_has_agreed_to_or_that_is_more_than_was_meant() {
    let Some((rig, ids)) = scene("agreed", &[(Code::ParseCorrupt, 3)]).await else { return };
    let note = ["note", "-m", "hm", "--by", "kim"];
    let with = |more: &[&'static str]| [note.as_slice(), more].concat();
    let told = fails(&rig, 2, &[note.as_slice(), &[&ids[0]]].concat()).await;
    assert!(told.contains("no terminal") && told.contains("--yes"), "{told}");
    let told = fails(&rig, 4, &with(&["--stage", "parse", "--max", "2", "--yes"])).await;
    assert!(told.contains("3 dead letters") && told.contains("--max 3"), "{told}");
    let told = fails(&rig, 2, &with(&["--yes"])).await;
    assert!(told.contains("with which dead letters"), "{told}");
    let told = fails(&rig, 2, &with(&["abc", "--stage", "parse", "--yes"])).await;
    assert!(told.contains("ids and conditions"), "{told}");
    fails(&rig, 3, &with(&["--stage", "validate", "--yes"])).await;
    fails(&rig, 3, &with(&["ffffffff", "--yes"])).await;
    let told = fails(&rig, 2, &["resolve", "--stage", "parse", "--by", "kim", "--yes"]).await;
    assert!(told.contains("--reason"), "{told}");
    let told = fails(&rig, 2, &["reclassify", &ids[0], "--to", "my.own", "--reason", "x", "--yes"]).await;
    assert!(told.contains("--to-class"), "{told}");
    assert!(rig.records("operations").await.is_empty(), "nothing was written down");
}
