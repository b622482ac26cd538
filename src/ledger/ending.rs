//! How the end of an attempt, or of a job, is written down, and read again: the same in every store. Pure.

use super::End;
use super::recovery::{Holding, OUTSTANDING_MAX, Recovery};
use super::state::State;
use crate::flow::fault::{MESSAGE_MAX, one_line};
use crate::flow::{Code, Fault};
use crate::message::{JobId, TopicPartition, deadletter};

/// An [`End`] as columns.
#[derive(Clone, Debug)]
pub struct Ending {
    pub state: State,
    pub attempt: Option<u32>,
    /// JSON.
    pub fault: Option<String>,
    pub went_to: Option<String>,
    pub due: Option<i64>,
    pub remark: Option<String>,
}

impl Ending {
    pub fn of(end: &End) -> Self {
        let json = |fault: &Fault| serde_json::to_string(fault).ok();
        let only = |state| Self { state, attempt: None, fault: None, went_to: None, due: None, remark: None };
        match end {
            End::Done => only(State::Done),
            End::Waiting { attempt, due, rung, fault } => Self {
                attempt: Some(*attempt),
                fault: json(fault),
                went_to: Some(rung.clone()),
                due: Some(due.as_millisecond()),
                ..only(State::Waiting)
            },
            End::Dead { attempt, dead_letter, fault } => Self {
                attempt: Some(*attempt),
                fault: json(fault),
                went_to: Some(dead_letter.clone()),
                ..only(State::Dead)
            },
            End::Parked { topic } => Self { went_to: Some(topic.clone()), ..only(State::Parked) },
            End::Discarded { by, reason } => {
                let remark = one_line(&format!("{by}: {reason}"), MESSAGE_MAX);
                Self { remark: Some(remark), ..only(State::Discarded) }
            }
            End::Released { fault } => Self { fault: fault.as_ref().and_then(json), ..only(State::Released) },
        }
    }
}

/// Why the job was condemned. A fault that a later version wrote and this one cannot read still buries it.
pub fn verdict(fault: Option<&str>) -> Fault {
    let read = fault.and_then(|json| serde_json::from_str(json).ok());
    read.unwrap_or_else(|| {
        Fault::new(Code::StagePanicked, "the reason for the dead letter cannot be read any more")
    })
}

/// How the end of a job came to be known that nobody lived to tell.
pub const RECOVERED: &str = "recovered: the commit in Kafka shows it";

/// What a job became whose last claimed record has ended in Kafka, while the ledger took it for being worked on, and the
/// dead letter that tells of it.
pub fn found_out(
    recovery: &Recovery,
    job: &JobId,
    redrives: u32,
    state: State,
    result: bool,
) -> (State, Option<String>) {
    match (state, result) {
        // A holder can let go of a job while the answer to its commit is under way.
        (State::Stored, _) | (State::Released, true) => (State::Done, None),
        (State::Condemned, _) => {
            let letter = deadletter::id(&recovery.pipeline, &recovery.stage, job, redrives);
            (State::Dead, Some(letter))
        }
        // Everything else that it could have become is noted here before it stands in Kafka, so it failed and is on a
        // rung by now.
        _ => (State::Waiting, None),
    }
}

/// More jobs hold up later records than memory should hold.
pub fn too_many(recovery: &Recovery, input: &TopicPartition) -> String {
    let Recovery { pipeline, stage, holding, .. } = recovery;
    let fewer = if *holding == Holding::LiveAndDead { "redrive or discard dead letters, " } else { "" };
    format!(
        "stage '{pipeline}.{stage}' cannot take partition {input}: more than {OUTSTANDING_MAX} of its jobs that \
         keep an order are not over, which is more than it holds in memory; {fewer}run more instances, so that \
         each has fewer partitions, or let it work them off without `ordering`"
    )
}

/// The name was given to another process since.
pub fn replaced(instance: &str) -> String {
    format!(
        "another process has opened the job ledger as instance '{instance}'; end one of them, or give each its own \
         `instance` in the configuration"
    )
}
