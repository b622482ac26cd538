use super::*;
use crate::flow::{Code, Fault, Topology};
use crate::ledger::State;
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Coordinates, Correlation, Headers, JobId, Trail};
use crate::ops::verify::Place;

const CONFIG: &str = "
version: 1
kafka: { bootstrap: 'localhost:9092' }
providers: { local: { base_url: 'http://localhost:1/v1' } }
pipelines:
  p:
    input: { topic: in }
    output: { topic: out }
    retry: { rungs: [1s] }
    stages:
      - { name: chunk, kind: chunk, ordering: key }
      - { name: embed, kind: { embed: { provider: local, model: m } }, delivery: at_least_once }
";

fn stage(name: &str) -> Stage {
    let config = Config::parse(CONFIG, "lazaret.yaml").expect("a configuration");
    let topology = Topology::derive(&config);
    Stage::new(&config, topology.stage("p", name).expect("the stage"))
}

fn record(topic: &str, offset: i64, job: &str) -> Record {
    let headers = [("job-id".to_owned(), Some(job.as_bytes().to_vec()))].into_iter().collect();
    let at = Coordinates { topic: topic.into(), partition: 0, offset, timestamp: Some(1_000 + offset) };
    Record { at, key: None, value: None, headers }
}

fn copy(topic: &str, offset: i64, job: &str, redrives: u32) -> Record {
    let origin = Coordinates { topic: "in".into(), partition: 0, offset: 0, timestamp: None };
    let trail = Trail { redrives, ..Trail::fresh(&origin) };
    let plain = record(topic, offset, job);
    let headers = crate::message::trail::seal(&plain.headers, &trail, &correlation(job));
    Record { headers, ..plain }
}

fn correlation(job: &str) -> Correlation {
    Correlation { job: JobId(job.into()), tenant: None, resource: None, traceparent: String::new() }
}

fn letter(offset: i64, job: &str, redrives: u32) -> Record {
    let origin = Coordinates { topic: "in".into(), partition: 0, offset: 0, timestamp: None };
    let time = jiff::Timestamp::UNIX_EPOCH;
    let scene = Scene {
        pipeline: "p",
        stage: "chunk",
        revision: "r",
        origin: &origin,
        correlation: &correlation(job),
        attempts: 1,
        first_failure: time,
        last_failure: time,
        redrives,
    };
    let letter = DeadLetter::new(scene, &Fault::new(Code::DocumentEmpty, "empty"));
    Record { headers: letter.seal(&Headers::new(), Detail::Full), ..record("p.chunk.dlq", offset, job) }
}

fn committed(topics: &[(&str, i64)]) -> Positions {
    topics.iter().map(|(topic, at)| (TopicPartition::new(*topic, 0), (*at, String::new()))).collect()
}

fn place(stage: &Stage, job: &str) -> Place {
    stage.jobs[job].place(&stage.sight).0
}

#[test]
fn children_belong_to_their_parent_and_one_that_stands_twice_is_seen() {
    let mut chunk = stage("chunk");
    chunk.begin(committed(&[("in", 2)]));
    for record in [record("in", 0, "a"), record("in", 1, "b")] {
        chunk.see(&record);
    }
    for (offset, child) in ["a/0", "a/1", "b/0", "b/0"].into_iter().enumerate() {
        chunk.see(&record("p.embed", offset as i64, child));
    }
    chunk.end(Positions::new());
    assert_eq!((place(&chunk, "a"), chunk.jobs["a"].doubled()), (Place::Done, None));
    assert!(chunk.jobs["b"].doubled().is_some());
    assert_eq!(chunk.jobs.len(), 2);
}

#[test]
fn an_id_with_a_slash_is_no_child_where_nothing_fans_out() {
    let mut embed = stage("embed");
    embed.begin(committed(&[("p.embed", 2)]));
    for (offset, job) in ["a/0", "a/1"].into_iter().enumerate() {
        embed.see(&record("p.embed", offset as i64, job));
        embed.see(&record("out", offset as i64, job));
    }
    embed.end(Positions::new());
    assert!(["a/0", "a/1"].iter().all(|job| place(&embed, job) == Place::Done));
    embed.see(&record("out", 2, "a/1"));
    assert!(embed.jobs["a/1"].doubled().is_some() && embed.at_least_once);
}

#[test]
fn a_copy_that_moves_on_while_we_look_is_in_one_place_and_not_double() {
    let mut chunk = stage("chunk");
    chunk.begin(committed(&[("in", 1), ("p.chunk.retry.1s", 4)]));
    for seen in
        [record("in", 0, "a"), copy("p.chunk.retry.1s", 4, "a", 0), copy("p.chunk.retry.1s", 5, "a", 0)]
    {
        chunk.see(&seen);
    }
    chunk.end(committed(&[("p.chunk.retry.1s", 5)]));
    assert_eq!((place(&chunk, "a"), chunk.jobs["a"].doubled()), (Place::Waiting, None));
}

#[test]
fn two_copies_that_wait_at_the_end_are_double() {
    let mut chunk = stage("chunk");
    chunk.begin(committed(&[("in", 1)]));
    for seen in [record("in", 0, "a"), copy("p.chunk.retry.1s", 4, "a", 0), copy("p.chunk.park", 5, "a", 0)] {
        chunk.see(&seen);
    }
    chunk.end(committed(&[("p.chunk.retry.1s", 4)]));
    assert!(chunk.jobs["a"].doubled().is_some());
}

#[test]
fn a_redrive_between_death_and_success_makes_both_right() {
    let mut chunk = stage("chunk");
    chunk.begin(committed(&[("in", 1), ("p.chunk.redrive", 1)]));
    for seen in [record("in", 0, "a"), letter(0, "a", 0), record("p.embed", 0, "a/0")] {
        chunk.see(&seen);
    }
    assert!(chunk.jobs["a"].doubled().is_some());
    chunk.see(&copy("p.chunk.redrive", 0, "a", 1));
    chunk.end(Positions::new());
    assert_eq!((place(&chunk, "a"), chunk.jobs["a"].doubled()), (Place::Done, None));
    chunk.see(&letter(1, "a", 0));
    assert!(chunk.jobs["a"].doubled().is_some(), "the same death twice");
}

#[test]
fn the_ledger_adds_what_is_not_over_and_nothing_that_is_long_gone() {
    let mut chunk = stage("chunk");
    let row = |job: &str, state| JobRow {
        id: crate::ledger::RowId(1),
        stage: "chunk".into(),
        job: job.into(),
        state,
        attempt: 1,
        redrives: 0,
        at: None,
        origin: None,
        went_to: None,
        finishes: 0,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
    };
    chunk.note(&row("old", State::Done));
    chunk.note(&row("lost", State::Waiting));
    assert!(!chunk.jobs.contains_key("old"));
    assert_eq!(place(&chunk, "lost"), Place::Missing);
}

#[test]
fn deleted_inputs_are_counted_and_deleted_outputs_set_a_horizon() {
    let mut chunk = stage("chunk");
    chunk.begin(committed(&[("in", 12)]));
    let bounds = [("in", 10), ("p.embed", 5), ("p.chunk.dlq", 0)];
    chunk
        .bounds(&bounds.into_iter().map(|(topic, low)| (TopicPartition::new(topic, 0), (low, 20))).collect());
    for seen in [record("in", 10, "a"), record("in", 11, "b"), record("p.embed", 10, "b/0")] {
        chunk.see(&seen);
    }
    chunk.end(Positions::new());
    assert_eq!(chunk.deleted, 10);
    assert_eq!((place(&chunk, "a"), place(&chunk, "b")), (Place::Beyond, Place::Done));
    assert_eq!(chunk.sight.outputs_from, Some(1_010), "its first record that is kept");
}
