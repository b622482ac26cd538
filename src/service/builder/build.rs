//! From settings to a service: what cannot be is told, all of it at once.

use super::Builder;
use crate::config::{self, Config, Ordering};
use crate::service::error::{Error, Setting};
use crate::service::{LedgerChoice, Service, topology};

/// Records of one partition held at the same time, for each one that may be run.
const WINDOW_FACTOR: usize = 2;

impl Builder {
    /// Checks the settings. [`Error::Settings`] lists all that is wrong.
    pub fn build(self) -> Result<Service, Error> {
        let mut wrong = self.own_rules();
        let stage = self.stage.clone();
        let (create_topics, group, ledger) = (self.create_topics, self.group.clone(), self.ledger.clone());
        let config = self.config();
        wrong.extend(config::check(&config).into_iter().filter_map(Setting::of));
        let topology = topology(&config, group);
        match stage {
            Some(stage) if wrong.is_empty() => Ok(Service { config, topology, stage, ledger, create_topics }),
            _ => Err(Error::Settings(wrong)),
        }
    }

    /// What cannot be wrong in a file.
    fn own_rules(&self) -> Vec<Setting> {
        let mut wrong = Vec::new();
        if self.stage.is_none() {
            wrong.push(Setting::new(
                "stage",
                "there is nothing to run",
                "give a stage, or an async function",
            ));
        }
        let forgets = match &self.ledger {
            LedgerChoice::None => true,
            LedgerChoice::Sqlite(_) => false,
            LedgerChoice::Given(ledger) => !ledger.remembers(),
        };
        if forgets && self.settings.ordering != Ordering::None {
            let cause = "an order cannot be kept without a ledger: after a restart nobody could tell which keys have \
                         records on rungs or parked, and later ones would overtake them";
            wrong.push(Setting::new("ordering", cause, "add sqlite_ledger(path), or leave the order out"));
        }
        if self.kafka.membership.is_static && self.instance.is_none() {
            let cause = "a static member needs a name that is the same after a restart";
            wrong.push(Setting::new("static_membership", cause, "add instance(name), such as the host's"));
        }
        if self.group.as_ref().is_some_and(String::is_empty) {
            wrong.push(Setting::new("group", "the group has no name", "name it, or leave it out"));
        }
        wrong
    }

    fn config(mut self) -> Config {
        let concurrency = self.settings.concurrency;
        let roomy = concurrency.saturating_mul(WINDOW_FACTOR).max(self.settings.window);
        self.settings.window = self.window.unwrap_or(roomy);
        self.pipeline.stages = vec![self.settings];
        let mut config = Config {
            kafka: self.kafka,
            instance: self.instance,
            pipelines: [(self.names.0, self.pipeline)].into(),
            ..Config::blank()
        };
        config.shutdown.drain = self.drain;
        if let LedgerChoice::Sqlite(path) = self.ledger {
            config.ledger.path = path;
        }
        config
    }
}
