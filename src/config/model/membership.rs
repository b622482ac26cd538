//! How the processes of a stage share its partitions, as `kafka.membership` says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a stage's processes share its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupMembership {
    pub protocol: GroupProtocol,
    /// `cooperative-sticky` (when absent), `range` or `roundrobin` with `classic`; `uniform` or `range` with
    /// `consumer`, where the broker chooses when absent.
    pub assignor: Option<Assignor>,
    /// Members have lasting names, made of `instance` and the stage: one that is back within the session's time-out
    /// gets its partitions again without a rebalance. `instance` must then be the same after a restart.
    #[serde(rename = "static")]
    pub is_static: bool,
}

/// Who leads rebalances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupProtocol {
    /// A member: works with every broker.
    #[default]
    Classic,
    /// The broker (KIP-848): needs Kafka 4.0.
    Consumer,
}

/// Which member gets which partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Assignor {
    CooperativeSticky,
    Range,
    Roundrobin,
    Uniform,
}

impl Assignor {
    /// As Kafka names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Range => "range",
            Self::Roundrobin => "roundrobin",
            Self::Uniform => "uniform",
        }
    }
}

impl GroupProtocol {
    /// As Kafka names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }

    /// The assignors that can be had with it.
    pub fn assignors(self) -> &'static [Assignor] {
        match self {
            Self::Classic => &[Assignor::CooperativeSticky, Assignor::Range, Assignor::Roundrobin],
            Self::Consumer => &[Assignor::Uniform, Assignor::Range],
        }
    }
}
