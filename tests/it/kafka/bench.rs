//! Topics of a test's own, and members of a group that write down what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lazaret::config::{Config, Size};
use lazaret::flow::Topology;
use lazaret::flow::topology::{Purpose, TopicPlan};
use lazaret::kafka::admin::Admin;
use lazaret::kafka::consumer::{Change, Commit, Membership, Partition};
use lazaret::kafka::{Consumer, Producer, Transactor};
use lazaret::message::{Headers, OutRecord, Record, TopicPartition};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support;

/// A group, its topics, and who has which partition.
pub struct Bench {
    pub config: Config,
    pub topology: Topology,
    pub group: String,
    pub input: String,
    pub satellites: Vec<String>,
    /// By partition: the name of its owner. Two owners at once are a failure.
    owners: Arc<Mutex<BTreeMap<TopicPartition, String>>>,
    /// Whatever must not have happened.
    wrongs: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    /// `kafka` is YAML below `kafka:`. `None` when tests against the real Kafka are left out.
    pub async fn new(test: &str, kafka: &str, input: u32, satellites: &[u32]) -> Option<Self> {
        let bootstrap = support::bootstrap()?;
        let name = support::unique(test);
        let text = format!(
            "version: 1\n\
             kafka:\n  bootstrap: '{bootstrap}'\n  group_prefix: '{name}.'\n{kafka}\n\
             pipelines:\n  p:\n    input: {{ topic: '{name}' }}\n    output: {{ topic: '{name}.out' }}\n    \
             record_max: 1MiB\n    stages: [ {{ name: s, kind: validate }} ]\n"
        );
        let config = Config::parse(&text, "test.yaml").unwrap_or_else(|e| panic!("{e:?}\n{text}"));
        let bench = Self {
            topology: Topology::derive(&config),
            config,
            group: format!("{name}.g"),
            satellites: (1..=satellites.len()).map(|n| format!("{name}.satellite-{n}")).collect(),
            input: name,
            owners: Arc::default(),
            wrongs: Arc::default(),
        };
        bench.create(&bench.input, input).await;
        bench.create(&bench.out(), 1).await;
        for (topic, partitions) in bench.satellites.iter().zip(satellites) {
            bench.create(topic, *partitions).await;
        }
        Some(bench)
    }

    pub fn out(&self) -> String {
        format!("{}.out", self.input)
    }

    pub fn admin(&self) -> Admin {
        Admin::new(&self.config.kafka, "test").expect("an admin client")
    }

    async fn create(&self, name: &str, partitions: u32) {
        let plan = TopicPlan {
            name: name.to_owned(),
            purpose: Purpose::Stage,
            partitions,
            replication: Some(1),
            retention: None,
            message_max: Size::mib(1),
        };
        for (topic, made) in self.admin().create(&[&plan]).await.expect("topics can be made") {
            made.unwrap_or_else(|e| panic!("{topic}: {e}"));
        }
    }

    pub fn producer(&self) -> Producer {
        Producer::new(&self.config.kafka, &self.topology, "test").expect("a producer")
    }

    pub async fn transactor(&self, id: &str) -> Transactor {
        let id = format!("{}.{id}", self.input);
        let ids = [&*id, &format!("{id}/2")];
        Transactor::open(&self.config.kafka, &self.topology, &ids).await.expect("a transactor")
    }

    /// One record into every partition, which carries its own place as its value.
    pub async fn fill(&self, round: &str) -> BTreeSet<String> {
        let (producer, mut sent) = (self.producer(), BTreeSet::new());
        for (topic, state) in self.admin().list().await.expect("topics") {
            if topic != self.input && !self.satellites.contains(&topic) {
                continue;
            }
            for partition in 0..state.partitions {
                let value = format!("{topic}-{partition}/{round}");
                let record = to(&topic, i32::try_from(partition).expect("small"), &value);
                producer.send(record).await.expect("kafka takes the record");
                sent.insert(value);
            }
        }
        sent
    }

    /// Joins the group as a consumer only.
    pub fn consumer(&self, instance: &str) -> Consumer {
        let satellites: Vec<&str> = self.satellites.iter().map(String::as_str).collect();
        let membership = Membership {
            group: &self.group,
            input: &self.input,
            satellites: &satellites,
            message_max: Size::mib(1),
            patience: Duration::from_secs(20),
            instance: Some(instance),
        };
        Consumer::join(&self.config.kafka, membership).expect("a consumer")
    }

    /// Joins the group as somebody who reads everything, and commits it when it is taken away.
    pub fn member(&self, name: &str) -> Member {
        let (stop, notes) = (CancellationToken::new(), Arc::new(Mutex::new(Notes::default())));
        let reader = Reader {
            name: name.to_owned(),
            consumer: self.consumer(name),
            partitions: BTreeMap::new(),
            next: BTreeMap::new(),
            notes: notes.clone(),
            owners: self.owners.clone(),
            wrongs: self.wrongs.clone(),
        };
        Member { name: name.to_owned(), notes, task: tokio::spawn(reader.run(stop.clone())), stop }
    }

    /// Partitions that a member has now.
    pub fn owned(&self, member: &Member) -> BTreeSet<TopicPartition> {
        let owners = self.owners.lock().unwrap();
        owners.iter().filter(|(_, owner)| **owner == member.name).map(|(name, _)| name.clone()).collect()
    }

    pub fn assert_nothing_went_wrong(&self) {
        let wrongs = self.wrongs.lock().unwrap();
        assert!(wrongs.is_empty(), "{wrongs:#?}");
    }
}

/// What a member saw.
#[derive(Default)]
pub struct Notes {
    pub values: Vec<String>,
    pub revocations: usize,
}

/// A member of the group.
pub struct Member {
    name: String,
    pub notes: Arc<Mutex<Notes>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Member {
    pub fn values(&self) -> Vec<String> {
        self.notes.lock().unwrap().values.clone()
    }

    /// Leaves the group, having committed what it read.
    pub async fn leave(self) {
        self.stop.cancel();
        self.task.await.expect("the member ends well");
    }
}

struct Reader {
    name: String,
    consumer: Consumer,
    partitions: BTreeMap<TopicPartition, Partition>,
    next: BTreeMap<TopicPartition, i64>,
    notes: Arc<Mutex<Notes>>,
    owners: Arc<Mutex<BTreeMap<TopicPartition, String>>>,
    wrongs: Arc<Mutex<Vec<String>>>,
}

impl Reader {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let news = self.consumer.news();
            tokio::select! {
                change = self.consumer.change() => match change {
                    Some(change) => self.changed(change).await,
                    None => {
                        self.wrong("the consumer cannot go on");
                        break;
                    }
                },
                () = news => {}
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
                () = stop.cancelled() => break,
            }
            self.read();
        }
        let all: Vec<_> = self.partitions.keys().cloned().collect();
        self.give_up(&all, true).await;
        self.consumer.leave().await;
    }

    async fn changed(&mut self, change: Change) {
        match change {
            Change::Assigned(partitions) => {
                for partition in partitions {
                    let had = self.owners.lock().unwrap().insert(partition.name.clone(), self.name.clone());
                    if let Some(other) = had {
                        self.wrong(&format!("{} was given while {other} had it", partition.name));
                    }
                    self.partitions.insert(partition.name.clone(), partition);
                }
            }
            Change::Revoked { partitions, release } => {
                self.notes.lock().unwrap().revocations += 1;
                self.give_up(&partitions, true).await;
                drop(release);
            }
            Change::Lost { partitions, release } => {
                self.give_up(&partitions, false).await;
                drop(release);
            }
        }
    }

    fn read(&mut self) {
        for (name, partition) in &self.partitions {
            while partition.is_filled() {
                let Some(record) = partition.poll() else { continue };
                self.next.insert(name.clone(), record.at.offset + 1);
                self.notes.lock().unwrap().values.push(value(&record));
            }
        }
    }

    async fn give_up(&mut self, names: &[TopicPartition], commit: bool) {
        self.read();
        let mut ends = Vec::new();
        for name in names {
            if self.partitions.remove(name).is_none() {
                self.wrong(&format!("{name} was taken away without having been given"));
            }
            let next = self.next.remove(name);
            ends.extend(next.map(|offset| Commit { name: name.clone(), offset, metadata: String::new() }));
        }
        if commit {
            self.consumer.commit_now(ends).await;
        }
        let mut owners = self.owners.lock().unwrap();
        owners.retain(|name, owner| *owner != self.name || !names.contains(name));
    }

    fn wrong(&self, what: &str) {
        self.wrongs.lock().unwrap().push(format!("{}: {what}", self.name));
    }
}

/// A record for a partition.
pub fn to(topic: &str, partition: i32, value: &str) -> OutRecord {
    OutRecord {
        topic: topic.to_owned().into(),
        partition: Some(partition),
        key: Some(b"k".to_vec().into()),
        value: Some(value.as_bytes().to_vec().into()),
        headers: Headers::new(),
        timestamp: None,
    }
}

pub fn value(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

/// Waits for the consumer's first partitions.
pub async fn assigned(consumer: &mut Consumer) -> Vec<Partition> {
    loop {
        match consumer.change().await.expect("the consumer goes on") {
            Change::Assigned(partitions) if partitions.is_empty() => {}
            Change::Assigned(partitions) => return partitions,
            Change::Revoked { .. } | Change::Lost { .. } => panic!("nothing was to be taken away"),
        }
    }
}
