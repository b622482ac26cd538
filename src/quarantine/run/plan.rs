//! What is to be sent back, and how: frozen before anything is sent. Plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Amount, Span};

/// What is to be sent back, and how. It does not change once it is written: letters that die later are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What people call it.
    pub name: String,
    /// All letters are of one stage.
    pub pipeline: String,
    pub stage: String,
    /// What was asked for, as flags of the command line.
    pub selection: String,
    pub letters: u64,
    /// Of their values.
    pub bytes: u64,
    /// Different ones.
    pub tenants: u64,
    /// The fingerprints of its letters: a letter of another one that dies in the run is something new.
    pub groups: Vec<String>,
    /// When Kafka took in the letter that it deletes first.
    pub oldest: Option<Timestamp>,
    /// How many failed for good and were not edited, by the revision of the stage that they failed in.
    pub permanent: BTreeMap<String, u64>,
    /// How many go with another value or other headers than they died with, as far as they were edited before.
    #[serde(default)]
    pub edited: u64,
    /// How often the letter that was sent back most often was.
    pub most_redriven: u32,
    /// Another person has to approve it before it is started.
    #[serde(default)]
    pub approval: bool,
    /// What the ledger said of their jobs, where it could be asked.
    pub preview: Option<Preview>,
    /// What it will take of the provider that its stage asks; absent when that asks none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    pub policy: Policy,
}

/// What letters will take of a provider, when each is asked for once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    pub provider: String,
    pub model: String,
    /// Letters that will run.
    pub calls: u64,
    /// Tokens of what it is asked, about.
    pub input: u64,
    /// Tokens of what it answers, at most.
    pub output: u64,
    /// So many calls have been counted by the provider when the letters died, and their mean is what one will take; 0: four bytes
    /// of a record are taken for a token.
    pub measured: u64,
    /// At most; absent when the configuration has no price of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Amount>,
    pub currency: String,
}

/// What the ledger says of the jobs of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// How many it was asked for: the first of a large plan.
    pub asked: u64,
    /// Done already: they are not sent.
    pub done: u64,
    /// Sent back before, and on their way.
    pub under_way: u64,
    /// Jobs that it does not know.
    pub unknown: u64,
    /// They are to be run.
    pub run: u64,
}

/// How a plan is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// So many are sent, and what became of all of them is waited for, before the next so many are.
    pub canary: Vec<u32>,
    /// Most letters a second, after the canaries.
    pub rate: u32,
    /// The least share of those that ended that must have succeeded, percent.
    pub gate: u8,
    /// Most letters that are sent and of which it is not known what became of them.
    pub outstanding: u32,
    /// How long to wait for what becomes of the canaries.
    pub patience: Span,
    /// What it may cost by its estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Amount>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            canary: vec![1, 5, 25],
            rate: 50,
            gate: 95,
            outstanding: 1000,
            patience: Span::secs(600),
            max_cost: None,
        }
    }
}

impl Policy {
    /// How long so many letters take at least, at the rate; the canaries take as long as the stage does.
    pub fn duration(&self, letters: u64) -> Duration {
        let canaries = self.canary.iter().map(|size| u64::from(*size)).sum();
        Duration::from_secs(letters.saturating_sub(canaries).div_ceil(u64::from(self.rate.max(1))))
    }
}
