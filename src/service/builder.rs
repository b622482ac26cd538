//! What a program says about its service. Nothing is checked before [`Builder::build`], and nobody is asked before the
//! service is started.

mod build;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::LedgerChoice;
use super::ladder::Ladder;
use crate::config::{
    self, AfterDead, Assignor, ClassRule, Config, Delivery, Fairness, Followers, GroupProtocol, Kind,
    Ordering, Own, Pipeline, Security, Size, Span, Topic,
};
use crate::flow::{Class, Code};
use crate::ledger::Ledger;
use crate::stage::own::{BatchStage, Batched, OwnStage, Stage};

/// Settings of a service. See [`Service::builder`](super::Service::builder) for what must be given; all else has a
/// default.
pub struct Builder {
    kafka: config::Kafka,
    instance: Option<String>,
    group: Option<String>,
    drain: Span,
    names: (String, String),
    pipeline: Pipeline,
    settings: config::Stage,
    window: Option<usize>,
    stage: Option<OwnStage>,
    ledger: LedgerChoice,
    create_topics: bool,
}

impl Builder {
    pub(super) fn new(pipeline: String, stage: String) -> Self {
        let revision = env!("CARGO_PKG_VERSION").to_owned();
        let settings = config::Stage::of(stage.clone(), Kind::Own(Own { revision }));
        let blank = Config::blank();
        Self {
            kafka: blank.kafka,
            drain: blank.shutdown.drain,
            instance: None,
            group: None,
            names: (pipeline, stage),
            pipeline: Pipeline::of(settings.clone()),
            settings,
            window: None,
            stage: None,
            ledger: LedgerChoice::None,
            create_topics: true,
        }
    }

    /// What is done to each record. A [`Stage`], or an async function or closure.
    pub fn stage(mut self, stage: impl Stage) -> Self {
        self.stage = Some(Arc::new(stage));
        self
    }

    /// What is done to several records at once: begun with `max` records, and else `linger` after the first. No batch
    /// is larger than `in_flight`.
    pub fn batch_stage(self, stage: impl BatchStage, max: usize, linger: Duration) -> Self {
        self.stage(Batched::new(stage, max, linger))
    }

    /// Names what the stage does; stands in every dead letter, so that one can tell whether it has changed since. The
    /// version of your program, or of your prompt.
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.settings.kind = Kind::Own(Own { revision: revision.into() });
        self
    }

    /// `host:port`, several separated by commas.
    pub fn bootstrap(mut self, servers: impl Into<String>) -> Self {
        self.kafka.bootstrap = servers.into();
        self
    }

    /// A librdkafka property, passed on as it is to consumer and producer. Those that Lazaret's promises rest on, and
    /// secrets, are refused by `build`, which says what to use instead.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.kafka.properties.insert(name.into(), value.into());
        self
    }

    /// TLS and SASL. The password is named by environment variable or file, never given, and so never logged.
    pub fn security(mut self, security: Security) -> Self {
        self.kafka.security = security;
        self
    }

    /// The consumer group; `lazaret.<pipeline>.<stage>` unless said otherwise.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Who leads rebalances: a member (`Classic`, the default) or the broker (`Consumer`, KIP-848, Kafka 4.0).
    pub fn group_protocol(mut self, protocol: GroupProtocol) -> Self {
        self.kafka.membership.protocol = protocol;
        self
    }

    /// Which member gets which partitions; cooperative-sticky, or the broker's choice, unless said otherwise.
    pub fn assignor(mut self, assignor: Assignor) -> Self {
        self.kafka.membership.assignor = Some(assignor);
        self
    }

    /// Names this process, unique among those of the service and the same after a restart. It names the transactions,
    /// so that a restarted process ends at once what its predecessor left open; without it readers of committed records
    /// wait for that up to 30 seconds after a crash.
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = Some(name.into());
        self
    }

    /// The member keeps its partitions over a restart, without a rebalance. Needs [`instance`](Self::instance).
    pub fn static_membership(mut self) -> Self {
        self.kafka.membership.is_static = true;
        self
    }

    /// The topic that is read.
    pub fn input(mut self, topic: impl Into<String>) -> Self {
        self.pipeline.input.topic = topic.into();
        self
    }

    /// The topic that outputs go to. A sink has none.
    pub fn output(mut self, topic: impl Into<String>) -> Self {
        self.pipeline.output = Some(Topic::named(topic.into()));
        self
    }

    /// When and how often to try again; [`Ladder::default`] unless said otherwise.
    pub fn ladder(mut self, ladder: Ladder) -> Self {
        self.pipeline.retry = ladder.policy();
        self
    }

    /// Failures with this code have this class. Of all `classify_` rules the first that matches decides.
    pub fn classify_code(self, code: Code, class: Class) -> Self {
        self.classify(ClassRule { code: Some(code), status: None, message: None, class })
    }

    /// Failures with this HTTP status ([`Fault::status`](crate::Fault::status)) have this class.
    pub fn classify_status(self, status: u16, class: Class) -> Self {
        self.classify(ClassRule { code: None, status: Some(status), message: None, class })
    }

    /// Failures whose message contains this text have this class.
    pub fn classify_message(self, text: impl Into<String>, class: Class) -> Self {
        self.classify(ClassRule { code: None, status: None, message: Some(text.into()), class })
    }

    fn classify(mut self, rule: ClassRule) -> Self {
        self.settings.classify.push(rule);
        self
    }

    /// Exactly once (the default): output, rung record or dead letter and the source offset are one transaction. At
    /// least once: without transactions, and after a crash an output may stand twice.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.pipeline.delivery = delivery;
        self
    }

    /// Which records keep their order; none unless said otherwise. An order needs a ledger.
    pub fn ordering(mut self, ordering: Ordering) -> Self {
        self.settings.ordering = ordering;
        self
    }

    /// Whether the followers of a record that waits on a rung wait for it (the default) or pass.
    pub fn followers(mut self, followers: Followers) -> Self {
        self.settings.followers = followers;
        self
    }

    /// Whether the followers of a dead letter go on (the default) or wait until it is redriven or discarded.
    pub fn after_dead(mut self, after_dead: AfterDead) -> Self {
        self.settings.after_dead = after_dead;
        self
    }

    /// Tenants share the places: none holds another one up. All records are alike unless this is said.
    pub fn fairness(mut self, fairness: Fairness) -> Self {
        self.settings.fairness = Some(fairness);
        self
    }

    /// Records worked on at the same time by this process, of one partition or of many; 32 unless said otherwise.
    pub fn in_flight(mut self, records: usize) -> Self {
        self.settings.concurrency = records;
        self
    }

    /// Records of one partition held in memory, waiting ones included; at least `in_flight`. Unless said otherwise 1,024,
    /// or twice `in_flight` if that is more.
    pub fn window(mut self, records: usize) -> Self {
        self.window = Some(records);
        self
    }

    /// How long one attempt may take; then it is a transient failure, `stage.timeout`. Two minutes unless said otherwise.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.settings.timeout = Span(time);
        self
    }

    /// How long records in flight may take to finish when the service stops or partitions go to another process; the
    /// rest is handed back and run again. 25 seconds unless said otherwise.
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain = Span(time);
        self
    }

    /// Remembers nothing, the default: no I/O, and no file. With exactly once each record is still written once; what
    /// is lost is said at [`NoLedger`](crate::ledger::NoLedger).
    pub fn no_ledger(mut self) -> Self {
        self.ledger = LedgerChoice::None;
        self
    }

    /// Keeps the ledger in this SQLite file, which is made with its folder when it is missing.
    pub fn sqlite_ledger(mut self, path: impl Into<PathBuf>) -> Self {
        self.ledger = LedgerChoice::Sqlite(path.into());
        self
    }

    /// Uses a ledger of one's own.
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = LedgerChoice::Given(ledger);
        self
    }

    /// Whether topics that are missing are made at start (the default), input and output too, or are an error.
    pub fn create_topics(mut self, create: bool) -> Self {
        self.create_topics = create;
        self
    }

    /// Partitions of the topics that are made, where there is no input topic yet to go by; 6 unless said otherwise.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.pipeline.partitions = partitions;
        self
    }

    /// Replicas of the topics that are made; the broker's default unless said otherwise.
    pub fn replication(mut self, replicas: u32) -> Self {
        self.pipeline.replication = Some(replicas);
        self
    }

    /// Largest record, in bytes; 8 MiB unless said otherwise. Rungs and dead letter topic get room for headers on top.
    pub fn record_max(mut self, bytes: u64) -> Self {
        self.pipeline.record_max = Size(bytes);
        self
    }

    /// How long dead letters are kept, counted from the time of the original record; for ever unless said otherwise.
    pub fn dlq_retention(mut self, time: Duration) -> Self {
        self.pipeline.dlq_retention = Some(Span(time));
        self
    }
}
