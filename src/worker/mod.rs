//! Runs stages: one [`Service`] per process, one worker per stage.
//!
//! ```text
//! Service ─► Shell ◄─► flow::Engine      events in, effects out
//!              ├─ Arrivals      partitions that come: offsets and ledger are brought together first
//!              ├─ Hands         the records held, and a task for each that is worked on
//!              │   ├─ attempt   decode, ask the ledger, run the stage, store the result
//!              │   └─ publish   next topic, rung, dead letter or parking topic; then the ledger is told
//!              └─ Transactions  what is published together with its offsets
//! ```
//!
//! `edges` opens what lies outside the process, `instance` names the process in the ledger, `tally` and `report`
//! tell what is going on.

mod arrivals;
mod attempt;
mod clock;
mod drain;
mod edges;
mod hands;
mod instance;
mod kit;
mod publish;
mod report;
mod runner;
mod selection;
mod service;
mod shell;
mod spec;
mod tally;
mod traced;
mod transactions;
mod work;

/// What the test kit drives in place of the shell.
pub(crate) mod testable {
    pub use super::clock::Clock;
    pub use super::hands::Hands;
    pub use super::kit::Kit;
    pub use super::service::kit;
    pub use super::spec::spec;
    pub use crate::flow::engine::{Delivery, Spec};
}

pub use edges::{EdgeError, Edges, Stages, this_program};
pub use instance::{Instance, InstanceError};
pub use selection::{Selection, SelectionError};
pub use service::{Service, StartError};
pub(crate) use spec::spec;
pub use spec::{revision, revision_of};
pub use tally::{Counts, Tally};
