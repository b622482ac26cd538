//! What the previous release has left behind, in a Kafka and with a ledger of a test's own; and what can be asked of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use lazaret::flow::offsets::Committed;
use lazaret::ledger::{Event, JobRow, State};
use lazaret::message::Record;
use serde_json::Value;

use super::broker::Broker;
use super::release::Release;
use super::scenario::{INSTANCE, NAME, PIPELINE};
use super::{PREVIOUS, dump, release, restore};
use crate::real::postgres;
use crate::rig::{Rig, Worker, eventually, job};
use crate::support::unique;

/// How long after the restored release was ended this one begins: so long takes restoring it. On a machine where it takes
/// longer, retries are due when it begins.
const MEANWHILE: Duration = Duration::from_secs(60);

/// A stage that was in the middle of it.
pub const STAGE: &str = "embed";

/// What it has left behind, restored, before anybody works on it.
pub struct Scene {
    pub rig: Rig,
    /// The database, if there is one.
    url: Option<String>,
    pub release: Release,
    /// The stage's jobs, by id.
    pub jobs: BTreeMap<String, JobRow>,
    _broker: Broker,
}

impl Scene {
    /// `ledger`: `sqlite` or `postgres`.
    pub async fn restored(ledger: &str) -> Option<Scene> {
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
        // Each call is made once here, on a busy machine too.
        rig.reconfigure("timeout: 2s", "timeout: 9s");
        if url.is_none() {
            for name in ["ledger", "quarantine"] {
                dump::into_file(&sql(&format!("{name}.sql")), &rig.path(&format!("{name}.db")));
            }
        }
        let release = Release::read(&folder).postponed(Timestamp::now() + MEANWHILE);
        restore::restore(&release, &broker.bootstrap);
        let jobs = rig.ledger().jobs(NAME, None, 1000).await.expect("the ledger can be read");
        let jobs =
            jobs.into_iter().filter(|row| row.stage == STAGE).map(|row| (row.job.clone(), row)).collect();
        // Where the page has the files.
        std::os::unix::fs::symlink(".", rig.path("data")).expect("a link");
        Some(Scene { rig, url, release, jobs, _broker: broker })
    }

    pub fn jobs_in(&self, states: &[State]) -> BTreeSet<String> {
        let are = self.jobs.values().filter(|row| states.contains(&row.state));
        are.map(|row| row.job.clone()).collect()
    }

    pub async fn history(&self, job: &str) -> Vec<Event> {
        let all = self.rig.ledger().history(job).await.expect("the ledger can be read");
        all.into_iter().filter(|event| event.stage == STAGE && event.job == job).collect()
    }

    /// Records beyond the committed offset that the offset map has as ended, by where they stand, and their jobs.
    pub fn ended_beyond(&self) -> BTreeMap<String, String> {
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
    pub async fn times(&self, record: &str, job: &str) -> usize {
        let is_of = |event: &&Event| event.record.as_deref() == Some(record);
        self.history(job).await.iter().filter(is_of).count()
    }

    /// When the records that wait on the rung are due, by job.
    pub fn due(&self) -> BTreeMap<String, Timestamp> {
        let rung = format!("{STAGE}.retry.20s");
        let topic = self.rig.topic(&rung);
        let committed = |partition| {
            let mut known = self.release.stand.positions.iter();
            known
                .find(|known| known.topic == topic && known.partition == partition)
                .map_or(0, |known| known.offset)
        };
        let waits =
            self.release.of(&rung).filter(|record| record.at.offset >= committed(record.at.partition));
        let due =
            |record: &Record| record.headers.text("lazaret.due.at").expect("due").parse().expect("a time");
        waits.map(|record| (job(record), due(record))).collect()
    }

    /// By the job with which their texts begin: the calls that the provider got from this build.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for call in self.rig.provider.log() {
            let job = call.text.split_whitespace().next().expect("a text").to_owned();
            *calls.entry(job).or_default() += 1;
        }
        calls
    }

    /// Dead letters as `dlq ls` has them, by job and number of redrives.
    pub async fn letters(&self) -> BTreeMap<(String, u64), Value> {
        let listed = self.rig.ask(&["dlq", "ls", "--state", "all", "--limit", "100", "-o", "json"]).await;
        let letters = listed["letters"].as_array().expect("letters").iter();
        let name = |letter: &Value| {
            let job = letter["job"].as_str().expect("a job").split('/').next().unwrap_or_default().to_owned();
            (job, letter["redrives"].as_u64().expect("a number"))
        };
        letters.map(|letter| (name(letter), letter.clone())).collect()
    }

    pub async fn states(&self) -> BTreeMap<(String, u64), String> {
        let text = |letter: Value| letter["state"].as_str().expect("a state").to_owned();
        self.letters().await.into_iter().map(|(name, letter)| (name, text(letter))).collect()
    }

    /// Types the first block of commands behind these words of docs/upgrading.md.
    pub async fn types(&self, words: &str) {
        let page = page();
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

    /// Waits until a dead letter is in this state.
    pub async fn becomes(&self, job: &str, redrives: u64, state: &str) {
        let letter = (job.to_owned(), redrives);
        eventually(&format!("{job} is {state}"), async || {
            (self.states().await.get(&letter).is_some_and(|now| now == state)).then_some(())
        })
        .await;
    }

    pub async fn is_accounted_for(&self) {
        let output = self.rig.output(&["verify", "-o", "json"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Worker and `lazaret ops`, until this many jobs are done.
    pub async fn work(&self, done: u64) -> (Worker, Worker) {
        let (worker, ops) = (self.rig.worker(&[]).await, self.rig.serve("ops", &[]).await);
        eventually("all that can be done is", async || {
            (self.rig.jobs(STAGE, "done").await >= done).then_some(())
        })
        .await;
        (worker, ops)
    }
}

/// What is said of upgrading.
pub fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/upgrading.md");
    std::fs::read_to_string(page).expect("the page")
}
