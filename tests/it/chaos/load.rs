//! What the scenarios share: a stage that keeps the order of keys and asks the provider, a mix of records that heal,
//! die or are well, workers for it, people who send dead letters back, and the judgement at the end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lazaret::kafka::Producer;
use lazaret::message::OutRecord;
use serde_json::{Value, json};

use super::checker::{Acts, Case, Judgement, Seen, Sent, read};
use super::cluster::Cluster;
use crate::rig::{Rig, Worker, eventually, record};

/// Records worked on at the same time by one worker, so calls that can be open when it is killed.
pub const CONCURRENCY: usize = 8;
/// Keys of the records.
const KEYS: u64 = 60;

/// The stage under test. `{more}` are further settings of the stage.
const PIPELINE: &str = "
  '{p}':
    input: { topic: '{p}.in' }
    output: { topic: '{p}.out' }
    partitions: 3
    retry: { max_attempts: 3, base: 100ms, factor: 2, cap: 1s, max_elapsed: 5m, rungs: [200ms, 1s] }
    stages:
      - { name: embed, kind: { embed: { provider: local, model: lazaret-embed } }, concurrency: 8, timeout: 10s,
          ordering: key, {more} }
";

/// Numbers that a seed repeats.
pub struct Dice(u64);

impl Dice {
    /// LAZARET_CHAOS_SEED, or a new one, which is printed.
    pub fn throw(scenario: &str) -> Dice {
        let given = std::env::var("LAZARET_CHAOS_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            u64::from(std::process::id()) ^ jiff::Timestamp::now().as_millisecond() as u64
        });
        eprintln!("{scenario}: LAZARET_CHAOS_SEED={seed}");
        Dice(seed)
    }

    /// splitmix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below this one.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// How the workers of a scenario are set up.
pub struct Setting<'a> {
    pub name: &'a str,
    /// Where workers find the cluster; the cluster's own address when absent.
    pub bootstrap: Option<String>,
    /// Further keys below `kafka`.
    pub kafka: &'a str,
    /// Properties below `kafka.properties`.
    pub properties: &'a str,
    /// Further settings of the stage.
    pub stage: &'a str,
    /// The database of the ledger, instead of a file.
    pub postgres: Option<String>,
}

impl<'a> Setting<'a> {
    pub fn new(name: &'a str) -> Self {
        let properties = "session.timeout.ms: '4000', heartbeat.interval.ms: '500'";
        Self { name, bootstrap: None, kafka: "", properties, stage: "", postgres: None }
    }
}

/// See the module.
pub struct Load {
    pub rig: Rig,
    pub dice: Dice,
    pub acts: Acts,
    /// One record in so many cannot be read by the stage.
    pub bad_every: Option<u64>,
    cluster: String,
    sent: Vec<Sent>,
    producer: Producer,
    hold: bool,
    begun: Instant,
}

impl Load {
    pub async fn new(cluster: &Cluster, setting: Setting<'_>) -> Load {
        let bootstrap = setting.bootstrap.as_ref().unwrap_or(&cluster.bootstrap);
        let kafka = format!(
            "bootstrap: '{bootstrap}', delivery_timeout: 8s, transaction_timeout: 10s, {} \
             properties: {{ compression.type: none, {} }}",
            setting.kafka, setting.properties
        );
        let pipeline = PIPELINE.replace("{more}", setting.stage);
        let extra = "shutdown: { drain: 5s }";
        let rig = Rig::over(&kafka, setting.name, &pipeline, extra, setting.postgres.as_deref()).await;
        rig.faults(json!({ "latency": "20ms", "jitter": "40ms", "server_error": 0.06, "rate_limit": 0.02 }))
            .await;
        let mut direct = rig.config.kafka.clone();
        direct.bootstrap.clone_from(&cluster.bootstrap);
        // The test's own records must get there, however long the cluster is away.
        direct.delivery_timeout = lazaret::config::Span::secs(120);
        let producer = Producer::new(&direct, &rig.topology, "chaos").expect("a producer");
        let hold = setting.stage.contains("after_dead: hold");
        Load {
            dice: Dice::throw(setting.name),
            acts: Acts::default(),
            bad_every: Some(20),
            cluster: cluster.bootstrap.clone(),
            sent: Vec::new(),
            producer,
            hold,
            begun: Instant::now(),
            rig,
        }
    }

    /// Sends records and waits until the cluster has them.
    pub async fn send(&mut self, count: usize) {
        let topic = self.rig.topic("in");
        let mut records = Vec::new();
        for _ in 0..count {
            let (job, key) = (
                format!("job-{}", self.sent.len() + records.len()),
                format!("key-{}", self.dice.below(KEYS)),
            );
            let bad = self.bad_every.is_some_and(|every| self.dice.below(every) == 0);
            let value = if bad { json!("no passages") } else { passages(&job, &key) };
            let out = OutRecord {
                key: Some(key.clone().into_bytes().into()),
                ..record(&topic, &[("job-id", &job)], &value)
            };
            records.push((job, key, out));
        }
        let sends = records.iter().map(|(.., out)| self.producer.send(out.clone()));
        let acknowledged = futures::future::join_all(sends).await;
        for ((job, key, _), at) in records.into_iter().zip(acknowledged) {
            let at = at.expect("kafka takes the record");
            self.sent.push(Sent { job, key, at: (at.partition, at.offset) });
        }
    }

    /// Whether a record went to this partition.
    pub fn uses_partition(&self, partition: i32) -> bool {
        self.sent.iter().any(|sent| sent.at.0 == partition)
    }

    /// The provider answers every call from now on.
    pub async fn faults_off(&self) {
        self.rig.faults(json!({ "server_error": 0.0, "rate_limit": 0.0 })).await;
    }

    /// What readers see of a topic; asked until it can be read.
    pub async fn seen(&self, rest: &str) -> Vec<Seen> {
        let topic = self.rig.topic(rest);
        eventually("the topic can be read", async || {
            let (bootstrap, topic) = (self.cluster.clone(), topic.clone());
            tokio::task::spawn_blocking(move || read(&bootstrap, &topic)).await.expect("a reader")
        })
        .await
    }

    /// Waits until a few more records have ended than now, or all have.
    pub async fn until_progress(&self) {
        let ended = async || {
            let (outputs, letters) = (self.seen("out").await, self.seen("embed.dlq").await);
            let left = self.case(&outputs, &letters, &[]).unfinished().len();
            (outputs.len() + letters.len(), left)
        };
        let (before, _) = ended().await;
        eventually("more records have ended", async || {
            let (now, left) = ended().await;
            (now >= before + 5 || left == 0).then_some(())
        })
        .await;
    }

    /// Sends records, and waits until some of them have ended on every partition: somebody reads them all, whoever had
    /// them before.
    pub async fn until_taken_over(&mut self, count: usize) {
        let before = self.sent.len();
        self.send(count).await;
        eventually("every partition is read", async || {
            let (outputs, letters) = (self.seen("out").await, self.seen("embed.dlq").await);
            let left: BTreeSet<String> =
                self.case(&outputs, &letters, &[]).unfinished().into_iter().collect();
            let new = self.sent.iter().skip(before);
            let moved: BTreeSet<i32> =
                new.filter(|sent| !left.contains(&sent.job)).map(|sent| sent.at.0).collect();
            (moved.len() >= 3).then_some(())
        })
        .await;
    }

    /// Sends all dead letters back that were not sent back yet, or gives up every third.
    pub async fn redrive(&mut self) {
        // Ends with 3 where there are none.
        let listed = self.rig.output(&["dlq", "ls", "--limit", "1000", "--output", "json"]).await.stdout;
        let listed: Value = serde_json::from_slice(&listed).expect("JSON");
        let (mut back, mut gone) = (Vec::new(), Vec::new());
        for letter in listed["letters"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (id, job) = (text(&letter["id"]), text(&letter["job"]));
            if self.acts.redrives.contains_key(&job) || self.acts.discarded.contains(&job) {
                continue;
            }
            if self.dice.below(3) == 0 {
                self.acts.discarded.insert(job);
                gone.push(id);
            } else {
                self.acts.redrives.insert(job, 1);
                back.push(id);
            }
        }
        // A letter may be seen before the ledger is told of it, which is the engine's next step.
        let act = async |args: Vec<&str>, ids: &[String]| {
            if !ids.is_empty() {
                let args: Vec<&str> = args.into_iter().chain(ids.iter().map(String::as_str)).collect();
                eventually("they are sent back", async || self.rig.tell(&args).await.then_some(())).await;
            }
        };
        // What failed for good does so once only.
        act(vec!["dlq", "redrive", "--unchanged", "--reason", "the document is mended"], &back).await;
        act(vec!["dlq", "discard", "--by", "chaos", "--reason", "a test gives it up"], &gone).await;
    }

    /// Waits until every record has ended, stops the workers, and judges. `open` is how many calls may have been open
    /// when workers died or were shut out: so many may have been made again.
    pub async fn end(mut self, workers: Vec<Worker>, open: usize) {
        self.all_over().await;
        self.redrive().await;
        self.all_over().await;
        self.verify().await;
        for mut worker in workers {
            assert!(worker.terminate().await.success(), "the worker ends in good order");
        }
        let (outputs, letters) = (self.seen("out").await, self.seen("embed.dlq").await);
        let calls = self.rig.provider.log();
        let judgement = self.case(&outputs, &letters, &calls).judge();
        let Judgement { paid_again, .. } = judgement;
        eprintln!(
            "{}: {} sent, {} done, {} dead letters, {} sent back, {} given up, {paid_again} of {open} calls made again, \
             {:.0?}",
            self.rig.name,
            self.sent.len(),
            outputs.len(),
            letters.len(),
            self.acts.redrives.len(),
            self.acts.discarded.len(),
            self.begun.elapsed(),
        );
        assert_eq!(Judgement { paid_again: 0, ..judgement }, Judgement::default());
        assert!(paid_again <= open, "{paid_again} calls were paid for again, {open} were open");
        self.verify().await;
    }

    /// Waits until every record has ended.
    pub async fn all_over(&self) {
        eventually("every record has ended", async || {
            let (outputs, letters) = (self.seen("out").await, self.seen("embed.dlq").await);
            self.case(&outputs, &letters, &[]).unfinished().is_empty().then_some(())
        })
        .await;
    }

    fn case<'a>(
        &'a self,
        outputs: &'a [Seen],
        letters: &'a [Seen],
        calls: &'a [lazaret::provider::calls::Call],
    ) -> Case<'a> {
        Case { sent: &self.sent, acts: &self.acts, outputs, letters, calls, hold: self.hold }
    }

    /// Waits until `lazaret verify` says the same as the judge: nothing is missing, nothing is double, and every record
    /// has ended. Of what was given up it is the only witness.
    async fn verify(&self) {
        eventually("lazaret verify says that every record has ended", async || {
            let said = self.rig.ask(&["verify", "--output", "json"]).await;
            assert_eq!(said["clean"], true, "{said:#}");
            let stage = &said["stages"][0];
            assert_eq!(stage["records"], self.sent.len(), "{said:#}");
            let over = ["done", "dead", "discarded"].map(|place| stage["jobs"][place].as_u64().unwrap_or(0));
            (over.iter().sum::<u64>() == self.sent.len() as u64).then_some(())
        })
        .await;
    }
}

/// A document part whose text names its job, and whose document is its key, so that the output has the same key.
fn passages(job: &str, key: &str) -> Value {
    json!({
        "document": { "id": key, "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1,
        "passages": [{ "ordinal": 0, "text": format!("The text of {job}.") }],
    })
}

/// How long a worker is left alone between two blows, at least and at most.
pub fn pause(dice: &mut Dice) -> Duration {
    Duration::from_millis(300 + dice.below(900))
}
