//! What a release has left behind, as files: every record of its topics, what its groups have committed, its ledger and
//! its index of dead letters. Taken from a Kafka, and put into another one at the same offsets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lazaret::kafka::look::{positions, settled};
use lazaret::message::{Coordinates, Headers, Record};
use serde::{Deserialize, Serialize};

use crate::rig::Rig;
use crate::support;

const PATIENCE: Duration = Duration::from_secs(120);

/// Where releases lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// See the module.
pub struct Release {
    pub stand: Stand,
    /// By topic, partition and offset.
    pub records: Vec<Record>,
}

/// What is known of the topics besides their records.
#[derive(Serialize, Deserialize)]
pub struct Stand {
    /// When it was ended.
    pub ended_at: Timestamp,
    /// Offsets end here, whether or not a record stands in the last of them.
    pub ends: Vec<End>,
    pub positions: Vec<Position>,
}

#[derive(Serialize, Deserialize)]
pub struct End {
    pub topic: String,
    pub partition: i32,
    pub end: i64,
}

/// What a group has committed.
#[derive(Serialize, Deserialize)]
pub struct Position {
    pub group: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub metadata: String,
}

/// A record as a line of JSON.
#[derive(Serialize, Deserialize)]
struct Line {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<(String, Option<Bytes>)>,
}

/// Bytes that somebody can read, where they are text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Binary { base64: String },
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Binary { base64: STANDARD.encode(bytes) },
        }
    }

    fn read(self) -> Vec<u8> {
        match self {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Binary { base64 } => STANDARD.decode(base64).expect("base 64"),
        }
    }
}

impl Release {
    /// What stands in Kafka now that nobody works any more, once every transaction that was open is over.
    pub async fn take(rig: &Rig, ended_at: Timestamp) -> Release {
        let topics: Vec<&str> = rig.topology.topics.iter().map(|topic| topic.name.as_str()).collect();
        let deadline = Instant::now() + PATIENCE;
        let ends = settled(&rig.config.kafka, &topics, deadline).await.expect("the ends of the topics");
        let end = |(at, (_, end)): (lazaret::message::TopicPartition, (i64, i64))| End {
            topic: at.topic.to_string(),
            partition: at.partition,
            end,
        };
        let mut known = Vec::new();
        for stage in &rig.topology.stages {
            let of_stage = positions(&rig.config.kafka, &stage.group, &stage.read(), deadline).await;
            for (at, (offset, metadata)) in of_stage.expect("positions") {
                let (group, topic) = (stage.group.clone(), at.topic.to_string());
                known.push(Position { group, topic, partition: at.partition, offset, metadata });
            }
        }
        let ends = ends.into_iter().map(end).collect();
        let records = sorted(support::records(&rig.config, &topics).await);
        Release { stand: Stand { ended_at, ends, positions: known }, records }
    }

    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder");
        let stand = serde_json::to_string_pretty(&self.stand).expect("JSON");
        std::fs::write(folder.join("stand.json"), stand + "\n").expect("written");
        let lines = self.records.iter().map(|record| {
            let line = Line {
                topic: record.at.topic.to_string(),
                partition: record.at.partition,
                offset: record.at.offset,
                timestamp: record.at.timestamp,
                key: record.key.as_deref().map(Bytes::of),
                value: record.value.as_deref().map(Bytes::of),
                headers: record.headers.iter().map(|(n, v)| (n.to_owned(), v.map(Bytes::of))).collect(),
            };
            serde_json::to_string(&line).expect("JSON") + "\n"
        });
        std::fs::write(folder.join("records.jsonl"), lines.collect::<String>()).expect("written");
    }

    pub fn read(folder: &Path) -> Release {
        let text = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let record = |line: &str| {
            let line: Line = serde_json::from_str(line).expect("a record");
            let Line { topic, partition, offset, timestamp, key, value, headers } = line;
            Record {
                at: Coordinates { topic: topic.into(), partition, offset, timestamp },
                key: key.map(|bytes| bytes.read().into()),
                value: value.map(|bytes| bytes.read().into()),
                headers: headers.into_iter().map(|(n, v)| (n, v.map(Bytes::read))).collect(),
            }
        };
        let stand = serde_json::from_str(&text("stand.json")).expect("a stand");
        Release { stand, records: text("records.jsonl").lines().map(record).collect() }
    }

    /// The same as if it had been ended only now: what waits on a rung has as long to wait as it had then.
    pub fn postponed(mut self, now: Timestamp) -> Release {
        let since = now.duration_since(self.stand.ended_at);
        for record in &mut self.records {
            let later = |(name, value): (&str, Option<&[u8]>)| {
                let due =
                    value.filter(|_| name == "lazaret.due.at").and_then(|due| std::str::from_utf8(due).ok());
                let due = due.map(|due| format!("{:.3}", due.parse::<Timestamp>().expect("a time") + since));
                (name.to_owned(), due.map(String::into_bytes).or(value.map(<[u8]>::to_vec)))
            };
            record.headers = record.headers.iter().map(later).collect::<Headers>();
        }
        self
    }

    /// Those of a topic, by the end of its name.
    pub fn of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Record> {
        let is_of =
            move |record: &&Record| record.at.topic.strip_suffix(topic).is_some_and(|p| p.ends_with('.'));
        self.records.iter().filter(is_of)
    }

    /// The records of each partition, with its end.
    pub fn partitions(&self) -> BTreeMap<(&str, i32), (Vec<&Record>, i64)> {
        let ends = self.stand.ends.iter();
        let mut all: BTreeMap<_, _> =
            ends.map(|end| ((end.topic.as_str(), end.partition), (Vec::new(), end.end))).collect();
        for record in &self.records {
            let partition = all.get_mut(&(&*record.at.topic, record.at.partition));
            partition.expect("a partition that ends").0.push(record);
        }
        all
    }
}

/// By topic, partition and offset.
fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    let place = |record: &Record| (record.at.topic.clone(), record.at.partition, record.at.offset);
    records.sort_by_key(place);
    records
}
