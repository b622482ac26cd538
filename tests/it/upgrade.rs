//! What the previous release has left behind, killed in the middle of its work, goes on with this one.

mod broker;
mod dump;
mod record;
mod release;
mod restore;
mod scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use lazaret::flow::offsets::Committed;
use lazaret::ledger::{Event, JobRow, State};
use lazaret::message::{Coordinates, Record};
use serde_json::{Value, json};

use self::broker::Broker;
use self::release::Release;
use self::scenario::{INSTANCE, NAME, PIPELINE, document};
use crate::real::postgres;
use crate::rig::{Rig, Worker, eventually, job};
use crate::support::{self, unique};

/// The release before this one.
const PREVIOUS: &str = "release-172430b";

/// A stage that was in the middle of it.
const STAGE: &str = "embed";

/// What it has left behind, restored, before anybody works on it.
struct Scene {
    rig: Rig,
    /// The database, if there is one.
    url: Option<String>,
    release: Release,
    /// The stage's jobs, by id.
    jobs: BTreeMap<String, JobRow>,
    _broker: Broker,
}

impl Scene {
    /// `ledger`: `sqlite` or `postgres`.
    async fn restored(ledger: &str) -> Option<Scene> {
        let folder = release::folder().join(PREVIOUS).join(ledger);
        let sql = |name: &str| std::fs::read_to_string(folder.join(name)).expect("SQL");
        let url = match ledger {
            "postgres" => {
                let url = dump::database(&postgres()?, &unique("upgrade")).await;
                dump::into_database(&sql("database.sql"), &url).await;
                Some(url)
            }
            _ => None,
        };
        let broker = Broker::start().await?;
        let rig = Rig::named(&broker.kafka, NAME, PIPELINE, INSTANCE, url.as_deref()).await;
        rig.reconfigure("ledger: {", "ledger: { retention: 36500d,");
        if url.is_none() {
            for name in ["ledger", "quarantine"] {
                dump::into_file(&sql(&format!("{name}.sql")), &rig.path(&format!("{name}.db")));
            }
        }
        let release = Release::read(&folder).postponed(Timestamp::now());
        restore::restore(&release, &broker.bootstrap);
        let jobs = rig.ledger().jobs(NAME, None, 1000).await.expect("the ledger can be read");
        let jobs =
            jobs.into_iter().filter(|row| row.stage == STAGE).map(|row| (row.job.clone(), row)).collect();
        // Where the page has the files.
        std::os::unix::fs::symlink(".", rig.path("data")).expect("a link");
        Some(Scene { rig, url, release, jobs, _broker: broker })
    }

    fn jobs_in(&self, states: &[State]) -> BTreeSet<String> {
        let are = self.jobs.values().filter(|row| states.contains(&row.state));
        are.map(|row| row.job.clone()).collect()
    }

    async fn history(&self, job: &str) -> Vec<Event> {
        let all = self.rig.ledger().history(job).await.expect("the ledger can be read");
        all.into_iter().filter(|event| event.stage == STAGE && event.job == job).collect()
    }

    /// Records beyond the committed offset that the offset map has as ended, by where they stand, and their jobs.
    fn ended_beyond(&self) -> BTreeMap<String, String> {
        let input = self.rig.topic(STAGE);
        let mut ended = BTreeMap::new();
        for position in self.release.stand.positions.iter().filter(|position| position.topic == input) {
            let committed = Committed::parse(position.offset, &position.metadata).expect("a map");
            let has_ended = |record: &&Record| {
                record.at.partition == position.partition
                    && record.at.offset >= position.offset
                    && committed.has_ended(record.at.offset)
            };
            let records = self.release.of(STAGE).filter(has_ended);
            ended.extend(records.map(|record| (record.at.to_string(), job(record))));
        }
        ended
    }

    /// How often a job was begun, or found to be over, because of the record that stands there.
    async fn times(&self, record: &str, job: &str) -> usize {
        let is_of = |event: &&Event| event.record.as_deref() == Some(record);
        self.history(job).await.iter().filter(is_of).count()
    }

    /// When the records that wait on the rung are due, by job.
    fn due(&self) -> BTreeMap<String, Timestamp> {
        let rung = format!("{STAGE}.retry.20s");
        let topic = self.rig.topic(&rung);
        let position = |partition| {
            let known = self.release.stand.positions.iter();
            known
                .filter(|p| p.topic == topic && p.partition == partition)
                .map(|p| p.offset)
                .next()
                .unwrap_or(0)
        };
        let waits = self.release.of(&rung).filter(|record| record.at.offset >= position(record.at.partition));
        waits
            .map(|record| {
                (job(record), record.headers.text("lazaret.due.at").expect("due").parse().expect("a time"))
            })
            .collect()
    }

    /// By the job with which their texts begin: the calls that the provider got from this build.
    fn calls(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for call in self.rig.provider.log() {
            let job = call.text.split_whitespace().next().expect("a text").to_owned();
            *calls.entry(job).or_default() += 1;
        }
        calls
    }

    /// Dead letters as `dlq ls` has them, by job and number of redrives.
    async fn letters(&self) -> BTreeMap<(String, u64), Value> {
        let listed = self.rig.ask(&["dlq", "ls", "--state", "all", "--limit", "100", "-o", "json"]).await;
        let letters = listed["letters"].as_array().expect("letters").iter();
        let name = |letter: &Value| {
            let job = letter["job"].as_str().expect("a job").split('/').next().unwrap_or_default().to_owned();
            (job, letter["redrives"].as_u64().expect("a number"))
        };
        letters.map(|letter| (name(letter), letter.clone())).collect()
    }

    async fn states(&self) -> BTreeMap<(String, u64), String> {
        let text = |letter: Value| letter["state"].as_str().expect("a state").to_owned();
        self.letters().await.into_iter().map(|(name, letter)| (name, text(letter))).collect()
    }

    /// Types the first block of commands behind these words of docs/upgrading.md.
    async fn types(&self, words: &str) {
        let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/upgrading.md"));
        let page = page.expect("the page");
        let (_, rest) =
            page.split_once(&format!("\n{words}\n")).unwrap_or_else(|| panic!("{words} is not on the page"));
        let block = rest.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
        let programs =
            [self.rig.program.parent().expect("a folder").to_owned(), dump::programs().join("bin")];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path))).expect("a path");
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-exc", block]).current_dir(self.rig.folder.path()).env("PATH", path);
        shell.env("LAZARET_CONFIG", "lazaret.yaml").env("LD_LIBRARY_PATH", dump::programs().join("lib"));
        if let Some(url) = &self.url {
            shell.env("DATABASE", url).env("SCHEMA", self.rig.schema());
        }
        let output = shell.output().await.expect("a shell");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words}: {}\n{out}\n{err}", output.status);
    }

    async fn is_accounted_for(&self) {
        let output = self.rig.output(&["verify", "-o", "json"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Worker and `lazaret ops`, until this many jobs are done.
    async fn work(&self, done: u64) -> (Worker, Worker) {
        let (worker, ops) = (self.rig.worker(&[]).await, self.rig.serve("ops", &[]).await);
        eventually("all that can be done is", async || {
            (self.rig.jobs(STAGE, "done").await >= done).then_some(())
        })
        .await;
        (worker, ops)
    }
}

/// Names of `<job>/0`, which the first stage made of each document.
fn roots(jobs: &BTreeSet<String>) -> BTreeSet<String> {
    jobs.iter().map(|job| job.trim_end_matches("/0").to_owned()).collect()
}

fn named<const N: usize>(states: [((&str, u64), &str); N]) -> BTreeMap<(String, u64), String> {
    states.map(|((job, redrives), state)| ((job.to_owned(), redrives), state.to_owned())).into()
}

async fn goes_on(ledger: &str) {
    let Some(scene) = Scene::restored(ledger).await else { return };
    let rig = &scene.rig;
    is_what_it_was(&scene).await;

    // What people did counts, although the index is made anew.
    let before = scene.states().await;
    let known = named([
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
    ]);
    assert_eq!(before, known);
    let letters = scene.letters().await;
    let said = &letters[&("spoiled-0".to_owned(), 0)]["remarks"];
    assert_eq!(said, &json!({ "note": "asked the provider", "owner": "ann", "ticket": "OPS-17" }));
    assert_eq!(letters[&("foreign-0".to_owned(), 0)]["code"], "document.mismatch");
    let audit = rig.ask(&["dlq", "audit", "--limit", "100", "-o", "json"]).await;
    assert!(audit.to_string().contains("the provider is mended"), "{audit}");
    scene.types("## Before").await;
    scene.types(if ledger == "sqlite" { "### Files" } else { "### PostgreSQL" }).await;

    let (paid, ended) = (scene.jobs_in(&[State::Stored, State::Done]), scene.ended_beyond());
    let (stored, waiting) = (scene.jobs_in(&[State::Stored]), scene.jobs_in(&[State::Waiting]));
    let parked = scene.jobs_in(&[State::Parked]);
    for (what, jobs) in [("stored", &stored), ("waiting", &waiting), ("parked", &parked)] {
        assert!(!jobs.is_empty(), "nothing was {what} when the release was recorded");
    }
    assert!(!ended.is_empty(), "nothing had ended beyond what was committed");
    let mut times = BTreeMap::new();
    for (record, job) in &ended {
        times.insert(record, scene.times(record, job).await);
    }

    // All are done but one dead letter, of which there is only a plan.
    let (all, dead) = (scene.release.of(STAGE).count() as u64, 1);
    let (mut worker, mut ops) = scene.work(all - dead).await;
    let due = scene.due();
    assert!(!due.is_empty());
    for (job, due) in &due {
        let tried = scene.history(job).await.into_iter().rev().find(|event| event.kind == "started");
        let tried = tried.expect("it was tried again").at;
        assert!(tried >= *due, "{job} was due at {due}, and tried at {tried}");
    }
    for (record, job) in &ended {
        assert_eq!(
            scene.times(record, job).await,
            times[record],
            "{record} had ended, and {job} was begun again"
        );
    }
    for job in &stored {
        let last = scene.history(job).await;
        assert!(last.iter().any(|event| event.kind == "replayed"), "{job}: {last:?}");
    }
    let calls = scene.calls();
    let open: BTreeSet<String> = scene.jobs.keys().filter(|job| !paid.contains(*job)).cloned().collect();
    let mut wanted = roots(&open);
    wanted.extend(scene.release.of(STAGE).map(job).map(|job| job.trim_end_matches("/0").to_owned()));
    wanted.retain(|job| !roots(&paid).contains(job) && job != "spoiled-0");
    assert_eq!(calls.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    assert!(calls.values().all(|times| *times == 1), "{calls:?}");

    // The run that nobody had begun to carry out, and the plan.
    let state = async |job: &str, redrives| scene.states().await.get(&(job.to_owned(), redrives)).cloned();
    for (job, redrives) in [("spoiled-1", 1), ("spoiled-2", 0), ("spoiled-4", 0)] {
        eventually(&format!("{job} is resolved"), async || {
            (state(job, redrives).await.as_deref() == Some("resolved")).then_some(())
        })
        .await;
    }
    let runs = rig.ask(&["redrive", "ls", "-o", "json"]).await;
    let run = |name: &str| {
        let runs = runs["redrives"].as_array().expect("runs");
        runs.iter()
            .find(|run| run["plan"]["name"] == name)
            .unwrap_or_else(|| panic!("{name} in {runs:?}"))
            .clone()
    };
    assert_eq!(
        (&run("spoiled-3")["state"], &run("spoiled-0")["state"]),
        (&json!("finished"), &json!("planned"))
    );
    eventually("the run that was left to the service has ended", async || {
        let id = run("spoiled-1")["id"].as_str().expect("an id").to_owned();
        (rig.ask(&["redrive", "status", &id, "-o", "json"]).await["state"] == "finished").then_some(())
    })
    .await;
    let id = letters[&("spoiled-0".to_owned(), 0)]["id"].as_str().expect("an id").to_owned();
    let shown = rig.ask(&["dlq", "show", &id, "-o", "json"]).await;
    assert_eq!(shown["id"].as_str().or(shown["letter"]["id"].as_str()), Some(id.as_str()), "{shown}");
    let plan = run("spoiled-0")["id"].as_str().expect("an id").to_owned();
    let start =
        ["redrive", "start", &plan, "--by", "kim", "--reason", "mended", "--override", "changed", "--yes"];
    assert!(rig.tell(&start).await);
    assert_eq!(state("spoiled-0", 0).await.as_deref(), Some("resolved"));
    scene.types("Afterwards:").await;

    assert!(worker.terminate().await.success());
    assert!(ops.terminate().await.success());
    comes_again(&scene, all).await;

    // And back to what was copied before.
    scene.types(if ledger == "sqlite" { "Of files:" } else { "Of PostgreSQL:" }).await;
    let back = rig.ledger().jobs(NAME, None, 1000).await.expect("the ledger can be read");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_the_previous_release_left_behind_goes_on() {
    goes_on("sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_previous_release_left_behind_goes_on_over_postgresql() {
    goes_on("postgres").await;
}
