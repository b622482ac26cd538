//! What the previous release has left behind, killed in the middle of its work, goes on with this one.

mod broker;
mod dump;
mod record;
mod release;
mod restore;
mod scenario;
mod scene;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lazaret::ledger::{JobRow, State};
use lazaret::message::deadletter::Detail;
use lazaret::message::{Coordinates, DeadLetter, Envelope, Record, trail};
use serde_json::json;

use self::release::Release;
use self::scenario::{FOLLOWERS, NAME, document};
use self::scene::{STAGE, Scene, page};
use crate::rig::{eventually, job};
use crate::support;

/// The release before this one.
const PREVIOUS: &str = "release-172430b";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_previous_release_left_behind_goes_on() {
    let Some(scene) = Scene::restored("sqlite").await else { return };
    goes_on(&scene, "### Files").await;
    let format = |file: &str| dump::format(&scene.rig.path(file));
    let (ledger, index) = (format("ledger.db"), format("quarantine.db"));
    for said in [format!("ledger {ledger} in SQLite"), format!("index of dead letters {index},")] {
        assert!(page().contains(&said), "docs/upgrading.md does not say: {said}");
    }
    goes_back(&scene, "Of files:").await;
    assert!(format("quarantine.db") < index, "the copy is of before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_previous_release_left_behind_goes_on_over_postgresql() {
    let Some(scene) = Scene::restored("postgres").await else { return };
    goes_on(&scene, "### PostgreSQL").await;
    goes_back(&scene, "Of PostgreSQL:").await;
}

/// Each field is understood, or it would be missing when the headers are written again.
#[test]
fn the_headers_of_the_previous_release_are_written_again_as_they_are() {
    for ledger in ["sqlite", "postgres"] {
        let release = Release::read(&release::folder().join(PREVIOUS).join(ledger));
        let (mut waiting, mut dead) = (0, 0);
        for record in &release.records {
            let topic = &*record.at.topic;
            if ["retry.20s", "park", "redrive"].iter().any(|kind| topic.ends_with(kind)) {
                let Envelope { original, trail, correlation } = trail::open(record, true);
                assert_eq!(trail::seal(&original, &trail, &correlation), record.headers, "{topic}");
                waiting += 1;
            } else if topic.ends_with("dlq") {
                let (letter, original) = DeadLetter::read(record).expect("a dead letter");
                assert_eq!(letter.seal(&original, Detail::Full), record.headers, "{topic}");
                dead += 1;
            }
        }
        assert!(waiting > 10 && dead > 5, "{waiting} wait, {dead} are dead");
    }
}

/// From the copies that are made before, where the page says how, to the second start.
async fn goes_on(scene: &Scene, copies: &str) {
    is_what_it_was(scene).await;
    // Whoever asks for dead letters with the new program changes the index.
    scene.types(copies).await;
    scene.types("## Before").await;
    people_are_heard(scene).await;

    let ended = scene.ended_beyond();
    assert!(!ended.is_empty(), "nothing had ended beyond what was committed");
    let mut times = BTreeMap::new();
    for (record, job) in &ended {
        times.insert(record, scene.times(record, job).await);
    }
    // All are done but one dead letter, of which there is only a plan.
    let all = scene.release.of(STAGE).count() as u64;
    let (mut worker, mut ops) = scene.work(all - 1).await;
    for (record, job) in &ended {
        let now = scene.times(record, job).await;
        assert_eq!(now, times[record], "{record} had ended, and {job} was begun again");
    }
    what_waited_was_run(scene).await;
    nothing_is_paid_twice(scene).await;
    runs_go_on(scene).await;
    scene.types("Afterwards:").await;
    assert!(worker.terminate().await.success());
    assert!(ops.terminate().await.success());
    comes_again(scene, all).await;
}

/// What people did counts, although the index is made anew.
async fn people_are_heard(scene: &Scene) {
    let known = [
        (("broken-0", 0), "discarded"),
        (("broken-1", 0), "open"),
        (("empty-0", 0), "discarded"),
        (("foreign-0", 0), "open"),
        (("spoiled-0", 0), "open"),
        (("spoiled-1", 0), "superseded"),
        (("spoiled-1", 1), "open"),
        (("spoiled-2", 0), "redriving"),
        (("spoiled-3", 0), "resolved"),
        (("spoiled-4", 0), "redriving"),
    ];
    let known = known.map(|((job, redrives), state)| ((job.to_owned(), redrives), state.to_owned()));
    assert_eq!(scene.states().await, BTreeMap::from(known));
    let letters = scene.letters().await;
    let said = &letters[&("spoiled-0".to_owned(), 0)]["remarks"];
    assert_eq!(said, &json!({ "note": "asked the provider", "owner": "ann", "ticket": "OPS-17" }));
    assert_eq!(letters[&("foreign-0".to_owned(), 0)]["code"], "document.mismatch");
    let audit = scene.rig.ask(&["dlq", "audit", "--limit", "100", "-o", "json"]).await;
    assert!(audit.to_string().contains("the provider is mended"), "{audit}");
}

/// Not before it was due, and those of a key in their order.
async fn what_waited_was_run(scene: &Scene) {
    let held = |records: &mut dyn Iterator<Item = String>| -> Vec<String> {
        records.filter(|job| job.starts_with("held-")).collect()
    };
    let came = held(&mut scene.release.of(STAGE).map(job));
    assert!(came.len() > FOLLOWERS, "{came:?}");
    assert_eq!(held(&mut scene.rig.records("out").await.iter().map(job)), came);
    for state in [State::Waiting, State::Parked] {
        assert!(!scene.jobs_in(&[state]).is_empty(), "nothing was {state:?} when the release was recorded");
    }
    let due = scene.due();
    assert!(!due.is_empty());
    for (job, due) in &due {
        let tried = scene.history(job).await.into_iter().rev().find(|event| event.kind == "started");
        let tried = tried.expect("it was tried again").at;
        assert!(tried >= *due, "{job} was due at {due}, and tried at {tried}");
    }
}

/// What is stored is replayed. What is neither stored nor done is asked for once.
async fn nothing_is_paid_twice(scene: &Scene) {
    let stored = scene.jobs_in(&[State::Stored]);
    assert!(!stored.is_empty(), "nothing was stored when the release was recorded");
    for job in &stored {
        let life = scene.history(job).await;
        assert!(life.iter().any(|event| event.kind == "replayed"), "{job}: {life:?}");
    }
    let document = |job: String| job.trim_end_matches("/0").to_owned();
    let paid =
        scene.jobs_in(&[State::Stored, State::Done]).into_iter().map(document).collect::<BTreeSet<_>>();
    let all = scene.release.of(STAGE).map(job).map(document);
    let wanted: BTreeSet<_> = all.filter(|job| !paid.contains(job) && job != "spoiled-0").collect();
    let calls = scene.calls();
    assert_eq!(calls.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    assert!(calls.values().all(|times| *times == 1), "{calls:?}");
}

/// A run that was left to `lazaret ops` is run by it, a plan can be started, and what was sent back is settled.
async fn runs_go_on(scene: &Scene) {
    let rig = &scene.rig;
    for (job, redrives) in [("spoiled-1", 1), ("spoiled-2", 0), ("spoiled-4", 0)] {
        scene.becomes(job, redrives, "resolved").await;
    }
    let run = async |name: &str| {
        let runs = rig.ask(&["redrive", "ls", "-o", "json"]).await;
        let mut runs = runs["redrives"].as_array().expect("runs").iter();
        let found = runs.find(|run| run["plan"]["name"] == name);
        found.cloned().unwrap_or_else(|| panic!("there is no run {name}"))
    };
    assert_eq!(run("spoiled-3").await["state"], "finished");
    eventually("the run that was left to the service has ended", async || {
        (run("spoiled-1").await["state"] == "finished").then_some(())
    })
    .await;
    let plan = run("spoiled-0").await;
    assert_eq!(plan["state"], "planned");
    let id = scene.letters().await[&("spoiled-0".to_owned(), 0)]["id"].as_str().expect("an id").to_owned();
    assert!(rig.lazaret(&["dlq", "show", &id]).contains("asked the provider"));
    let plan = plan["id"].as_str().expect("an id");
    let start =
        ["redrive", "start", plan, "--by", "kim", "--reason", "mended", "--override", "changed", "--yes"];
    assert!(rig.tell(&start).await);
    scene.becomes("spoiled-0", 0, "resolved").await;
}

/// To the ledger that was copied before.
async fn goes_back(scene: &Scene, copies: &str) {
    scene.types(copies).await;
    let back = scene.rig.ledger().jobs(NAME, None, 1000).await.expect("the ledger can be read");
    let back: Vec<&JobRow> = back.iter().filter(|row| row.stage == STAGE).collect();
    assert_eq!(back.len(), scene.jobs.len());
    assert!(back.iter().all(|row| scene.jobs.get(&row.job) == Some(row)), "{back:?}");
}

/// What stands in Kafka is what the release had there.
async fn is_what_it_was(scene: &Scene) {
    let again = Release::take(&scene.rig, Timestamp::now()).await;
    // When they were put there is the broker's business, on topics that wait.
    let bare = |record: &Record| Record {
        at: Coordinates { timestamp: None, ..record.at.clone() },
        ..record.clone()
    };
    for (now, then) in again.records.iter().zip(&scene.release.records) {
        assert_eq!(bare(now), bare(then));
    }
    assert_eq!(again.records.len(), scene.release.records.len());
    let positions = |release: &Release| serde_json::to_value(&release.stand.positions).expect("JSON");
    assert_eq!(positions(&again), positions(&scene.release));
}

/// Once more, with nothing but one new document to do.
async fn comes_again(scene: &Scene, all: u64) {
    let rig = &scene.rig;
    let topics = ["out", "chunk.dlq", "embed.dlq", "embed.retry.20s", "embed.park", "embed.redrive"];
    let count = async || {
        let mut counts = BTreeMap::new();
        for topic in topics {
            counts.insert(topic, rig.records(topic).await.len());
        }
        counts
    };
    let (mut before, calls, states) = (count().await, scene.calls(), scene.states().await);
    rig.send(vec![document(rig, "new-0", "is new")]).await;
    let (mut worker, mut ops) = scene.work(all + 1).await;
    assert!(worker.terminate().await.success());
    assert!(ops.terminate().await.success());
    *before.get_mut("out").expect("a topic") += 1;
    assert_eq!(count().await, before);
    let mut now = scene.calls();
    assert_eq!(now.remove("new-0"), Some(1));
    assert_eq!(now, calls);
    assert_eq!(scene.states().await, states);
    let mut out: Vec<String> = rig.records("out").await.iter().map(job).collect();
    out.sort();
    let each = out.len();
    out.dedup();
    assert_eq!((out.len() as u64, each as u64), (all + 1, all + 1), "each once");
    let dead = support::records(&rig.config, &[&rig.topic("embed.dlq"), &rig.topic("chunk.dlq")]).await;
    let old: Vec<&Record> = scene.release.of("embed.dlq").chain(scene.release.of("chunk.dlq")).collect();
    assert!(old.iter().all(|letter| dead.contains(letter)), "dead letters are as they were");
    scene.is_accounted_for().await;
}
