//! Topics as the cluster has them, and changes to them. Decides nothing: `ops::topics` says what should change.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::client::{self, dispose};
use super::context::Context;
use super::problem::KafkaProblem;
use crate::config::Kafka;
use crate::flow::topology::TopicPlan;

/// A topic on the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicState {
    pub partitions: u32,
    /// Replicas of the first partition.
    pub replication: u32,
    /// Settings by name with their values; `None` when this user may not read them.
    pub configs: Option<BTreeMap<String, Setting>>,
}

/// The value of a topic's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    /// True when it was set on this topic, false when it is a default of the broker.
    pub on_topic: bool,
}

/// A client for topic administration. Every request is bounded by `kafka.timeout`.
pub struct Admin {
    client: Option<Arc<AdminClient<Context>>>,
    timeout: Duration,
}

impl Admin {
    pub fn new(kafka: &Kafka, verb: &str) -> Result<Self, KafkaProblem> {
        let config = client::base(kafka, verb)?;
        let made = config.create_with_context(Context::default());
        let client = made.map_err(|e| KafkaProblem::properties(&e))?;
        Ok(Self { client: Some(Arc::new(client)), timeout: kafka.timeout.0 })
    }

    /// The state of those of the named topics that exist and that this user may see.
    pub async fn describe(&self, names: &[&str]) -> Result<BTreeMap<String, TopicState>, KafkaProblem> {
        let mut states = self.list().await?;
        states.retain(|name, _| names.contains(&name.as_str()));
        let found: Vec<String> = states.keys().cloned().collect();
        let resources: Vec<_> = found.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        if resources.is_empty() {
            return Ok(states);
        }
        let options = self.options();
        let what = "read the topics' settings";
        let described = self.bounded(what, self.client()?.describe_configs(&resources, &options)).await?;
        for (name, result) in found.iter().zip(described) {
            // A refusal comes back as a resource without settings.
            let settings = result.ok().filter(|r| !r.entries.is_empty()).map(|resource| {
                let setting =
                    |value, source| Setting { value, on_topic: source == ConfigSource::DynamicTopic };
                let entry = |e: rdkafka::admin::ConfigEntry| Some((e.name, setting(e.value?, e.source)));
                resource.entries.into_iter().filter_map(entry).collect()
            });
            if let Some(state) = states.get_mut(name) {
                state.configs = settings;
            }
        }
        Ok(states)
    }

    /// All topics that this user may see, without their settings.
    pub async fn list(&self) -> Result<BTreeMap<String, TopicState>, KafkaProblem> {
        let (client, timeout) = (Arc::clone(self.client()?), self.timeout);
        let what = "list the topics";
        let fetch = move || client.inner().fetch_metadata(None, timeout);
        let metadata = tokio::task::spawn_blocking(fetch)
            .await
            .map_err(|e| KafkaProblem::Other { what: what.into(), cause: e.to_string() })?
            .map_err(|e| self.failed(what, &e))?;
        let state = |t: &rdkafka::metadata::MetadataTopic| TopicState {
            partitions: u32::try_from(t.partitions().len()).unwrap_or(u32::MAX),
            replication: t.partitions().first().map_or(0, |p| u32::try_from(p.replicas().len()).unwrap_or(0)),
            configs: None,
        };
        let known = metadata.topics().iter().filter(|t| t.error().is_none());
        Ok(known.map(|t| (t.name().to_owned(), state(t))).collect())
    }

    /// Makes topics in one request and waits until they can be seen, so that whoever comes next can use them. One that
    /// exists already is not an error: somebody else was quicker.
    pub async fn create(
        &self,
        plans: &[&TopicPlan],
    ) -> Result<BTreeMap<String, Result<(), KafkaProblem>>, KafkaProblem> {
        let configs: Vec<_> = plans.iter().map(|plan| plan.configs()).collect();
        let topics: Vec<_> =
            plans.iter().zip(&configs).map(|(plan, configs)| new_topic(plan, configs)).collect();
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let options = self.options();
        let results = self.bounded("create topics", self.client()?.create_topics(&topics, &options)).await?;
        let made = results.into_iter().map(|result| match result {
            Ok(name) | Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => (name, Ok(())),
            Err((name, code)) => {
                let problem = KafkaProblem::from_code(format!("create topic '{name}'"), code);
                (name, Err(problem))
            }
        });
        let made: BTreeMap<_, _> = made.collect();
        self.wait_for(made.iter().filter(|(_, r)| r.is_ok()).map(|(name, _)| name.as_str()).collect())
            .await?;
        Ok(made)
    }

    /// A broker learns of a new topic a moment after the controller has acknowledged it.
    async fn wait_for(&self, names: Vec<&str>) -> Result<(), KafkaProblem> {
        const PAUSE: Duration = Duration::from_millis(50);
        let deadline = Instant::now() + self.timeout;
        loop {
            let there = self.list().await?;
            let Some(missing) = names.iter().find(|name| !there.contains_key(**name)) else { return Ok(()) };
            if Instant::now() >= deadline {
                let what = format!("show the new topic '{missing}'");
                return Err(KafkaProblem::TimedOut { what, waited: self.timeout });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sets these settings and keeps all others that were set on the topic.
    ///
    /// The client library knows only the request that replaces all of a topic's settings, so the others are read
    /// first and sent along. Where they cannot be read nothing is changed.
    pub async fn alter(&self, topic: &str, changes: &[(&str, &str)]) -> Result<(), KafkaProblem> {
        let what = format!("change settings of topic '{topic}'");
        let settings = self.describe(&[topic]).await?.remove(topic).and_then(|state| state.configs);
        let Some(settings) = settings else {
            let cause = "its present settings cannot be read".into();
            return Err(KafkaProblem::NotAuthorized { what, cause });
        };
        let mut wanted: BTreeMap<&str, &str> = settings
            .iter()
            .filter(|(_, setting)| setting.on_topic)
            .map(|(name, setting)| (name.as_str(), setting.value.as_str()))
            .collect();
        wanted.extend(changes.iter().copied());
        let request = wanted
            .iter()
            .fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |r, (name, value)| r.set(name, value));
        let options = self.options();
        let results = self.bounded(&what, self.client()?.alter_configs([&request], &options)).await?;
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(KafkaProblem::from_code(&what, code)),
            _ => Ok(()),
        }
    }

    /// Adds partitions up to `partitions`. Keys of new records may land elsewhere than before.
    pub async fn grow(&self, topic: &str, partitions: u32) -> Result<(), KafkaProblem> {
        let what = format!("add partitions to topic '{topic}'");
        let request = NewPartitions::new(topic, usize::try_from(partitions).unwrap_or(usize::MAX));
        let options = self.options();
        let results = self.bounded(&what, self.client()?.create_partitions([&request], &options)).await?;
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(KafkaProblem::from_code(what, code)),
            _ => Ok(()),
        }
    }

    fn client(&self) -> Result<&Arc<AdminClient<Context>>, KafkaProblem> {
        let closed = || KafkaProblem::Other { what: "administer topics".into(), cause: "closed".into() };
        self.client.as_ref().ok_or_else(closed)
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.timeout)).operation_timeout(Some(self.timeout))
    }

    /// librdkafka's own time-outs do not fire against every kind of broker, so ours stands around them.
    async fn bounded<T>(
        &self,
        what: &str,
        request: impl Future<Output = KafkaResult<T>>,
    ) -> Result<T, KafkaProblem> {
        match tokio::time::timeout(self.timeout + Duration::from_secs(1), request).await {
            Ok(answer) => answer.map_err(|e| self.failed(what, &e)),
            Err(_) => Err(KafkaProblem::TimedOut { what: what.to_owned(), waited: self.timeout }),
        }
    }

    fn failed(&self, what: &str, error: &KafkaError) -> KafkaProblem {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::OperationTimedOut) => {
                KafkaProblem::TimedOut { what: what.to_owned(), waited: self.timeout }
            }
            _ => KafkaProblem::from_error(what, error),
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            dispose(client);
        }
    }
}

fn new_topic<'a>(plan: &'a TopicPlan, configs: &'a [(&'static str, String)]) -> NewTopic<'a> {
    // -1 asks for the broker's default.
    let replication = plan.replication.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
    let partitions = i32::try_from(plan.partitions).unwrap_or(i32::MAX);
    let topic = NewTopic::new(&plan.name, partitions, TopicReplication::Fixed(replication));
    configs.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
}
