//! What is done with dead letters by rule, from time to time.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::alone::{self, Worded};
use super::super::expression::Expression;
use super::super::money::Amount;
use super::super::schedule::Schedule;
use super::super::units::Span;
use crate::flow::Class;

/// The periodic sweep: every open dead letter is held against these rules, and the first one that matches says what is done
/// with it. What none matches stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sweep {
    /// When `lazaret ops` sweeps by itself, as cron writes it. When absent only `lazaret sweep` does.
    pub schedule: Option<Schedule>,
    pub rules: Vec<Rule>,
}

/// What is done with which dead letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Acts are written down in its name, as `rule:<name>`.
    pub name: String,
    /// Which: all of this must hold. All open ones, when absent.
    #[serde(rename = "match", default)]
    pub matches: Match,
    /// What: a word alone (`redrive`), or a word with settings (`redrive: { rate: 20 }`).
    #[serde(rename = "do")]
    pub action: Action,
}

/// Which dead letters a rule is for; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    pub pipeline: Option<String>,
    pub stage: Option<String>,
    /// A failure code, or its area (`llm`).
    pub code: Option<String>,
    pub class: Option<Class>,
    pub tenant: Option<String>,
    /// The fingerprint of a group.
    pub group: Option<String>,
    /// Whether the group was said to be resolved, and died again.
    pub group_state: Option<GroupStanding>,
    /// Text in the message, in whatever case.
    pub text: Option<String>,
    /// Died at least so long ago.
    pub older_than: Option<Span>,
    /// Died less long ago.
    pub younger_than: Option<Span>,
    /// Whether the provider of the stage answers a real call now. A stage without one has none that is up or down.
    pub provider: Option<ProviderState>,
    /// A condition in CEL, such as `attempts > 3 && tenant in ["acme"]`.
    #[serde(rename = "where")]
    pub condition: Option<Expression>,
}

/// Where a group is that has open letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupStanding {
    Open,
    /// One died after the group was said to be resolved.
    Regressed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    Up,
    Down,
}

/// What is done. What is so already is left to the next rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(transform = alone::allow_alone::<Action>)]
pub enum Action {
    Redrive(Redrive),
    Reclassify(Reclassify),
    Discard(Discard),
    Archive(Archive),
    Assign(Assign),
    Keep(Keep),
}

/// Sends them back to their stage, as a plan and a run with everything that belongs to it: conditions, canaries, gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redrive {
    /// Only those that were sent back less often than this; the others are left to the next rule. What fails again and again
    /// comes to a person.
    pub redrives: u32,
    /// Most letters of a stage in one sweep; the next one takes the others.
    pub most: u32,
    /// So many are sent, and what became of all of them is waited for, before the next so many are. As for
    /// `lazaret redrive plan`, when absent.
    pub canary: Option<Vec<u32>>,
    /// Most letters a second after the canaries.
    pub rate: Option<u32>,
    /// The least share of those that ended that must have succeeded, percent.
    pub gate: Option<u8>,
    /// Most records that may wait in the stage's input.
    pub max_lag: u64,
    /// What those of a stage may cost in one sweep by the estimate of the plan; nothing is sent when it may cost more, or when it is
    /// not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Amount>,
    /// Conditions of a redrive that need not hold, such as `changed`; `reason` says why.
    #[serde(rename = "override")]
    pub overridden: Vec<String>,
    /// Stands in every act.
    pub reason: Option<String>,
}

impl Default for Redrive {
    fn default() -> Self {
        Self {
            redrives: 3,
            most: 10_000,
            canary: None,
            rate: None,
            gate: None,
            max_lag: 10_000,
            max_cost: None,
            overridden: Vec::new(),
            reason: None,
        }
    }
}

/// Gives them another code and class, by which rules that follow, lists and groups go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reclassify {
    pub code: String,
    pub class: Class,
}

/// Gives them up for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discard {
    /// Why that is right. Stands in every act.
    pub reason: String,
}

/// Puts those that are not there yet into the archive (`quarantine.archive`). They stay what they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {}

/// Gives those that have no owner to somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    pub owner: String,
}

/// Leaves them as they are, whatever rules follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {}

impl Action {
    /// The word that stands in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Redrive(_) => "redrive",
            Action::Reclassify(_) => "reclassify",
            Action::Discard(_) => "discard",
            Action::Archive(_) => "archive",
            Action::Assign(_) => "assign",
            Action::Keep(_) => "keep",
        }
    }
}

impl Worded for Action {
    const EXPECTED: &'static str =
        "what is to be done, such as `redrive`, or with settings such as `redrive: { rate: 20 }`";

    fn with_settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Action::deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        alone::read(deserializer)
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Action::serialize(self, serializer)
    }
}
