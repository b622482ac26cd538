//! What Lazaret needs around it, looked at from here: does it answer, may this user use it, is it what the configuration says, is there
//! room, and is it the same time there. Changes nothing.

mod disk;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Serialize;

use super::dlq::explain::span;
use super::redrive::checks::asked_provider;
use super::topics::{self, Change};
use super::{lag, schemas};
use crate::config::{Asks, Config, in_the_clear};
use crate::flow::Topology;
use crate::kafka::client::reach;
use crate::ledger::LedgerReader;
use crate::schema::Registry;

/// What one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clocks that are further apart make due times, retention and the ends of leases wrong.
const SKEW_MAX: i64 = 5;

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Ok,
    /// It works, and will not for ever, or not as it should.
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `kafka`, `topics`, `groups`, `registry`, `provider`, `ledger`, `disk`, `clock`.
    pub what: &'static str,
    /// Which of them.
    pub which: String,
    pub health: Health,
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, which: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what, which: which.into(), health: Health::Ok, found: found.into(), remedy: None }
    }

    fn bad(self, health: Health, remedy: impl Into<String>) -> Self {
        Self { health, remedy: Some(remedy.into()), ..self }
    }
}

/// Looks at everything that the configuration names. `calls`: providers are asked for real, which costs a token or two.
pub async fn look(config: &Config, calls: bool) -> Vec<Finding> {
    let mut found = kafka(config).await;
    let (registry, providers, clocks) =
        tokio::join!(registry(config), providers(config, calls), clocks(config));
    found.extend(registry);
    found.extend(providers);
    found.extend(clocks);
    found.push(ledger(config).await);
    found.extend(disks(config));
    found
}

async fn kafka(config: &Config) -> Vec<Finding> {
    let (bootstrap, asked) = (config.kafka.bootstrap.clone(), Instant::now());
    let cluster = match reach(&config.kafka, "doctor").await {
        Ok(cluster) => cluster,
        Err(problem) => {
            let finding = Finding::ok("kafka", bootstrap, problem.to_string());
            return vec![
                finding.bad(Health::Failed, "see kafka.bootstrap and kafka.security in the configuration"),
            ];
        }
    };
    let answer =
        format!("{} broker(s), answered in {} ms", cluster.brokers.len(), asked.elapsed().as_millis());
    let mut found = vec![Finding::ok("kafka", bootstrap.clone(), answer)];
    found.extend(
        in_the_clear(&config.kafka)
            .map(|open| Finding::ok("kafka", bootstrap, open.message).bad(Health::Warning, open.hint)),
    );
    let topics = topics(config).await;
    let are_there = topics.health != Health::Failed;
    found.push(topics);
    if are_there {
        found.extend(groups(config).await);
    }
    found
}

async fn topics(config: &Config) -> Finding {
    let which = || format!("{} topics", Topology::derive(config).topics.len());
    let drift = match topics::drift(config).await {
        Ok(drift) => drift,
        Err(problem) => {
            let remedy = "this user needs Describe and DescribeConfigs on them: `lazaret topics acls` prints all rights";
            return Finding::ok("topics", which(), problem.to_string()).bad(Health::Failed, remedy);
        }
    };
    let is_missing = |change: &Change| matches!(change, Change::Create { .. });
    let missing: Vec<&str> = drift
        .iter()
        .filter(|topic| topic.changes.iter().any(is_missing))
        .map(|topic| topic.topic.as_str())
        .collect();
    let others = drift.iter().filter(|topic| topic.is_drift()).count() - missing.len();
    match (missing.first(), others) {
        (Some(first), _) => {
            let found =
                format!("{} are not there, or this user may not see them, such as {first}", missing.len());
            Finding::ok("topics", which(), found).bad(Health::Failed, "`lazaret topics apply` makes them")
        }
        (None, 0) => Finding::ok("topics", which(), "all are there, and as they should be"),
        (None, others) => {
            let found = format!("{others} have other settings than the configuration wants");
            Finding::ok("topics", which(), found).bad(Health::Warning, "`lazaret topics drift` says which")
        }
    }
}

/// Stages that nobody runs, or that do not get on. Knowing it needs the rights to ask for their groups.
async fn groups(config: &Config) -> Vec<Finding> {
    match lag::look(&config.kafka, &Topology::derive(config)).await {
        Err(problem) => {
            let remedy = "this user needs Describe on the groups, and Read on what the stages read";
            vec![Finding::ok("groups", "all stages", problem.to_string()).bad(Health::Failed, remedy)]
        }
        Ok(stages) => {
            let finding = |stage: lag::StageLag| {
                let (lag, group) = (stage.lag(), stage.group);
                match stage.members {
                    Some(0) => {
                        Finding::ok("groups", group, format!("nobody runs the stage; {lag} records wait"))
                            .bad(Health::Warning, "start `lazaret run` for it, if it is to run")
                    }
                    Some(some) => {
                        Finding::ok("groups", group, format!("members: {some}; {lag} records wait"))
                    }
                    // Of groups of the protocol `consumer` the client cannot ask.
                    None => Finding::ok("groups", group, format!("{lag} records wait")),
                }
            };
            stages.into_iter().map(finding).collect()
        }
    }
}

async fn registry(config: &Config) -> Vec<Finding> {
    let Some(settings) = &config.registry else { return Vec::new() };
    let which = || settings.url.clone();
    let asked = Instant::now();
    let remedy = "see registry.url, username and password in the configuration";
    let registry = match Registry::of(config) {
        Ok(Some(registry)) => registry,
        Ok(None) => return Vec::new(),
        Err(error) => {
            return vec![Finding::ok("registry", which(), error.to_string()).bad(Health::Failed, remedy)];
        }
    };
    vec![match schemas::check(config, &registry).await {
        Err(fault) => Finding::ok("registry", which(), fault.to_string()).bad(Health::Failed, remedy),
        Ok(subjects) => {
            let took = asked.elapsed().as_millis();
            let missing = subjects.iter().filter(|subject| subject.is_missing()).count();
            let refused =
                subjects.iter().filter(|subject| subject.state == schemas::State::Incompatible).count();
            let found = format!(
                "answered in {took} ms; {} subjects, {missing} not registered, {refused} incompatible",
                subjects.len()
            );
            let finding = Finding::ok("registry", which(), found);
            match (refused, missing) {
                (0, 0) => finding,
                (0, _) => finding.bad(Health::Failed, "`lazaret schemas register` registers them"),
                _ => finding.bad(Health::Failed, "`lazaret schemas check` says which"),
            }
        }
    }]
}

/// Each model that a stage asks, once.
async fn providers(config: &Config, calls: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut asked = BTreeSet::new();
    for stage in config.pipelines.values().flat_map(|pipeline| &pipeline.stages) {
        let Some(asks) = stage.kind.asks().filter(|_| calls) else { continue };
        if !asked.insert((asks.provider, asks.model, asks.answer_max.is_some())) {
            continue;
        }
        let Asks { provider, model, .. } = asks;
        let which = format!("{provider}, {model}");
        match asked_provider(config, Some(&stage.kind)).await {
            Some(Ok(answer)) => found.push(Finding::ok("provider", which, answer)),
            Some(Err(why)) => {
                let remedy = format!("see providers.{provider} in the configuration, and `lazaret codes`");
                found.push(Finding::ok("provider", which, why).bad(Health::Failed, remedy));
            }
            None => {}
        }
    }
    found
}

async fn ledger(config: &Config) -> Finding {
    let which = match &config.ledger.postgres {
        Some(postgres) => format!("PostgreSQL, schema {}", postgres.schema),
        None => config.ledger.path.display().to_string(),
    };
    let asked = Instant::now();
    let counted = async {
        match LedgerReader::find(&config.ledger)? {
            Some(ledger) => ledger.counts().await.map(Some),
            None => Ok(None),
        }
    };
    match counted.await {
        Ok(Some(counts)) => {
            let jobs: u64 = counts.iter().map(|count| count.jobs).sum();
            let took = asked.elapsed().as_millis();
            Finding::ok("ledger", which, format!("{jobs} jobs, counted in {took} ms"))
        }
        Ok(None) => Finding::ok("ledger", which, "it is not there yet; the first `lazaret run` makes it"),
        Err(error) => Finding::ok("ledger", which, error.to_string()).bad(
            Health::Failed,
            "see `ledger` in the configuration; a backup or a rebuild is in docs/concepts.md",
        ),
    }
}

/// Where files of ours grow.
fn disks(config: &Config) -> Vec<Finding> {
    let archive = config.quarantine.archive.as_ref().map(|archive| archive.to.as_str());
    let folder = archive.filter(|to| !to.contains("://")).map(Path::new);
    let files = [
        config.ledger.postgres.is_none().then_some(config.ledger.path.as_path()),
        config.index.postgres.is_none().then_some(config.index.path.as_path()),
        config.quarantine.postgres.is_none().then_some(config.quarantine.path.as_path()),
    ];
    let folders = files.into_iter().flatten().filter_map(Path::parent).chain(folder);
    let folders: BTreeSet<&Path> = folders.collect();
    folders.into_iter().map(disk::look).collect()
}

/// What time it is elsewhere, as far as servers say it. To the second, and by what an answer takes.
async fn clocks(config: &Config) -> Vec<Finding> {
    let mut urls: BTreeSet<&str> =
        config.providers.values().map(|provider| provider.base_url.as_str()).collect();
    urls.extend(config.registry.as_ref().map(|registry| registry.url.as_str()));
    let Ok(client) = reqwest::Client::builder().timeout(PATIENCE).build() else { return Vec::new() };
    let mut found = Vec::new();
    for url in urls {
        let asked = Timestamp::now().as_second();
        let Ok(answer) = client.head(url).send().await else { continue };
        let date = answer.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
        let Some(there) = date.and_then(|date| rfc2822::parse(date).ok()) else { continue };
        // It was written down at some time between question and answer.
        let (there, now) = (there.timestamp().as_second(), Timestamp::now().as_second());
        found.push(clock(url, if there < asked { asked - there } else { (now - there).min(0) }));
    }
    found
}

/// `ahead`: how many seconds our clock is before the other. Pure.
fn clock(which: &str, ahead: i64) -> Finding {
    let apart = span(ahead.abs());
    if ahead.abs() <= SKEW_MAX {
        return Finding::ok("clock", which, "it is the same time there");
    }
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    Finding::ok("clock", which, format!("this machine is {apart} {side} it"))
        .bad(Health::Warning, "let NTP set the clocks: due times, retention and leases go by them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_some_seconds_apart_in_either_direction() {
        for ahead in [-5, -1, 0, 5] {
            assert_eq!(clock("there", ahead).health, Health::Ok, "{ahead}");
        }
        for (ahead, side) in [(-90, "1m behind"), (6, "6s ahead of")] {
            let finding = clock("there", ahead);
            assert_eq!(finding.health, Health::Warning);
            assert!(finding.found.contains(side), "{}", finding.found);
        }
    }
}
