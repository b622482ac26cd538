//! The judge. It knows what was sent, which of it people sent back or gave up, what readers of committed records see
//! in the output and dead letter topics, and which calls the provider was asked. It knows nothing of engine or ledger,
//! and reads with a client of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lazaret::provider::calls::Call;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

/// A record that was sent, in the order in which its partition has it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub job: String,
    pub key: String,
    pub at: (i32, i64),
}

/// A record as a reader sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub job: String,
    pub key: String,
    pub at: (i32, i64),
    /// `dlq.redrives`, in a dead letter.
    pub redrives: Option<u32>,
}

/// What was done by people.
#[derive(Clone, Debug, Default)]
pub struct Acts {
    /// How often each job was sent back.
    pub redrives: BTreeMap<String, u32>,
    pub discarded: BTreeSet<String>,
}

/// What there is to judge.
pub struct Case<'a> {
    pub sent: &'a [Sent],
    pub acts: &'a Acts,
    pub outputs: &'a [Seen],
    pub letters: &'a [Seen],
    /// The provider's log; the test's texts name the job.
    pub calls: &'a [Call],
    /// Dead letters hold back their followers, so that even those that were sent back keep their place.
    pub hold: bool,
}

/// What is wrong, by job.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    pub lost: Vec<String>,
    pub duplicated: Vec<String>,
    /// A record that came out after one of its key that was sent later.
    pub overtaken: Vec<String>,
    /// Answered calls beyond the first of each job.
    pub paid_again: usize,
}

impl Case<'_> {
    /// Jobs that have not ended yet, in whatever way.
    pub fn unfinished(&self) -> Vec<String> {
        let done: BTreeSet<&str> = self.outputs.iter().map(|seen| seen.job.as_str()).collect();
        let died: BTreeMap<&str, u32> = self
            .letters
            .iter()
            .map(|seen| (seen.job.as_str(), seen.redrives.unwrap_or(0)))
            .fold(BTreeMap::new(), |mut all, (job, redrives)| {
                let most = all.entry(job).or_default();
                *most = redrives.max(*most);
                all
            });
        let sent_back = |job: &str| self.acts.redrives.get(job).copied().unwrap_or(0);
        let is_over = |job: &str| {
            done.contains(job)
                || self.acts.discarded.contains(job)
                || died.get(job).is_some_and(|redrives| *redrives >= sent_back(job))
        };
        self.sent.iter().filter(|sent| !is_over(&sent.job)).map(|sent| sent.job.clone()).collect()
    }

    pub fn judge(&self) -> Judgement {
        Judgement {
            lost: self.unfinished(),
            duplicated: self.duplicated(),
            overtaken: self.overtaken(),
            paid_again: self.paid_again(),
        }
    }

    fn duplicated(&self) -> Vec<String> {
        let mut outputs: BTreeMap<&str, u32> = BTreeMap::new();
        for seen in self.outputs {
            *outputs.entry(&seen.job).or_default() += 1;
        }
        let mut deaths: BTreeMap<(&str, u32), u32> = BTreeMap::new();
        for seen in self.letters {
            *deaths.entry((&seen.job, seen.redrives.unwrap_or(0))).or_default() += 1;
        }
        let mut wrong: BTreeSet<String> = BTreeSet::new();
        wrong.extend(outputs.iter().filter(|(_, n)| **n > 1).map(|(job, n)| format!("{job}: {n} outputs")));
        for ((job, redrives), n) in deaths {
            if n > 1 {
                wrong.insert(format!("{job}: {n} dead letters after {redrives} redrives"));
            }
            let sent_back = self.acts.redrives.get(job).copied().unwrap_or(0);
            if outputs.contains_key(job) && redrives >= sent_back {
                wrong.insert(format!("{job}: done and dead, sent back {sent_back} times"));
            }
        }
        let discarded = outputs.keys().filter(|job| self.acts.discarded.contains(**job));
        wrong.extend(discarded.map(|job| format!("{job}: given up and done")));
        let unknown = |seen: &&Seen| !self.sent.iter().any(|sent| sent.job == seen.job);
        wrong.extend(self.outputs.iter().filter(unknown).map(|seen| format!("{}: nobody sent it", seen.job)));
        wrong.into_iter().collect()
    }

    /// The outputs of a key stand in the order in which the key's records were sent: on one partition, and those that
    /// died on the way left aside, unless they hold their followers back.
    fn overtaken(&self) -> Vec<String> {
        let died: BTreeSet<&str> = self.letters.iter().map(|seen| seen.job.as_str()).collect();
        let place: BTreeMap<&str, (&str, (i32, i64))> =
            self.sent.iter().map(|sent| (sent.job.as_str(), (sent.key.as_str(), sent.at))).collect();
        let mut outputs: Vec<&Seen> = self.outputs.iter().collect();
        outputs.sort_by_key(|seen| seen.at);
        let mut latest: BTreeMap<(&str, i32, i32), (i64, &str)> = BTreeMap::new();
        let mut wrong = Vec::new();
        for seen in outputs {
            let Some((key, (partition, offset))) = place.get(seen.job.as_str()) else { continue };
            if !self.hold && died.contains(seen.job.as_str()) {
                continue;
            }
            if *key != seen.key {
                wrong.push(format!("{}: sent with key {key}, came out with key {}", seen.job, seen.key));
            }
            let before = latest.entry((key, *partition, seen.at.0)).or_insert((*offset, &seen.job));
            if before.0 > *offset {
                wrong.push(format!("{} of key {key} came out after {}", seen.job, before.1));
            } else {
                *before = (*offset, &seen.job);
            }
        }
        wrong
    }

    fn paid_again(&self) -> usize {
        let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
        for call in self.calls.iter().filter(|call| call.outcome == "200") {
            *answered.entry(&call.text).or_default() += 1;
        }
        answered.values().map(|n| n - 1).sum()
    }
}

/// All committed records of a topic as of now; `None` when they could not all be read.
pub fn read(bootstrap: &str, topic: &str) -> Option<Vec<Seen>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "checker")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let patience = Duration::from_secs(20);
    let metadata = consumer.fetch_metadata(Some(topic), patience).ok()?;
    let found = metadata.topics().first().filter(|topic| topic.error().is_none())?;
    let mut list = TopicPartitionList::new();
    for partition in found.partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    let (mut left, mut all) = (found.partitions().len(), Vec::new());
    let deadline = std::time::Instant::now() + patience;
    while left > 0 && std::time::Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => all.push(seen(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            Some(Err(_)) | None => {}
        }
    }
    (left == 0).then_some(all)
}

fn seen(message: &BorrowedMessage<'_>) -> Seen {
    let header = |name: &str| {
        let all = message.headers()?;
        let last = all.iter().filter(|header| header.key == name).last()?;
        Some(String::from_utf8_lossy(last.value?).into_owned())
    };
    Seen {
        job: header("job-id").unwrap_or_default(),
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        at: (message.partition(), message.offset()),
        redrives: header("dlq.redrives").and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests;
