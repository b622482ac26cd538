//! Starts, pauses, resumes and cancels runs: acts on the topic of operations. Of two that come at once the first counts, so
//! each is looked at again after it was written.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt as _;

use super::RunError;
use super::checks::{aside_when_resumed, ensure_known};
use super::send::Sender;
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::client::reach;
use crate::kafka::look::settled;
use crate::ops::advice::Advice;
use crate::ops::quarantine::{self, Acts, REFRESH, pages};
use crate::quarantine::{Deed, Known, Plan, Quarantine, Run, RunState, Tally};

/// What is to be done with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run it, whatever these preconditions say. `detached`: somebody else is to run it.
    Start {
        overridden: Vec<String>,
        detached: bool,
    },
    /// Somebody else agrees that it is started.
    Approve,
    Pause,
    Resume {
        detached: bool,
    },
    Cancel,
}

impl Command {
    fn deed(&self) -> Deed {
        match self {
            Command::Start { overridden, detached } => {
                Deed::Started { overridden: overridden.clone(), detached: *detached }
            }
            Command::Approve => Deed::Approved,
            Command::Pause => Deed::Paused,
            Command::Resume { detached } => Deed::Resumed { detached: *detached },
            Command::Cancel => Deed::Cancelled,
        }
    }

    /// What a run that it can be done with becomes.
    fn outcome(&self, state: RunState) -> Option<RunState> {
        match (self, state) {
            (Command::Start { .. }, RunState::Planned)
            | (Command::Resume { .. }, RunState::Paused | RunState::Stopped) => Some(RunState::Running),
            (Command::Approve, RunState::Planned) => Some(RunState::Planned),
            (Command::Pause, RunState::Running) => Some(RunState::Paused),
            (Command::Cancel, RunState::Draft | RunState::Planned) => Some(RunState::Cancelled),
            (Command::Cancel, state) if state.is_active() => Some(RunState::Cancelled),
            _ => None,
        }
    }

    /// What need not hold before it is done with this run; `None` when nothing has to.
    pub fn sets_aside(&self, run: &Run) -> Result<Option<Vec<String>>, RunError> {
        match self {
            Command::Start { overridden, .. } => {
                ensure_known(overridden)?;
                Ok(Some(overridden.clone()))
            }
            Command::Resume { .. } => Ok(Some(aside_when_resumed(run))),
            Command::Approve | Command::Pause | Command::Cancel => Ok(None),
        }
    }

    /// Whether it is not done without saying why.
    pub fn needs_reason(&self) -> bool {
        matches!(self, Command::Start { .. } | Command::Approve)
    }

    fn words(&self) -> &'static str {
        match self {
            Command::Start { .. } => "started",
            Command::Approve => "approved",
            Command::Pause => "paused",
            Command::Resume { .. } => "resumed",
            Command::Cancel => "cancelled",
        }
    }
}

/// The topic of operations. Without one there are no runs.
pub fn operations(topology: &Topology) -> Result<String, RunError> {
    topology.operations.clone().ok_or_else(|| {
        let message = "there is no topic of operations, on which it stands what is done".to_owned();
        RunError::Refused(Advice::new(message, "name one with quarantine.operations"))
    })
}

/// The run whose id begins so, as it is now.
pub async fn find(config: &Config, index: &Arc<dyn Quarantine>, prefix: &str) -> Result<Run, RunError> {
    refresh(config, index).await?;
    known(index, prefix).await
}

/// Brings the index up to date. What is behind is not acted upon.
pub async fn refresh(config: &Config, index: &Arc<dyn Quarantine>) -> Result<(), RunError> {
    in_time(quarantine::refresh(config, index).await?)
}

/// The same for whoever runs one, and asks again and again.
pub async fn refresh_stage(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    plan: &Plan,
) -> Result<(), RunError> {
    in_time(quarantine::refresh_stage(config, index, &plan.pipeline, &plan.stage).await?)
}

fn in_time(late: Option<String>) -> Result<(), RunError> {
    match late {
        None => Ok(()),
        Some(late) => Err(RunError::Late(Advice::new(late, "what was read is kept: try again"))),
    }
}

/// The same, as the index has it.
pub async fn known(index: &Arc<dyn Quarantine>, prefix: &str) -> Result<Run, RunError> {
    match <[Run; 1]>::try_from(index.run(prefix).await?) {
        Ok([run]) => Ok(run),
        Err(none) if none.is_empty() => {
            let message = format!("there is no redrive '{prefix}'");
            Err(RunError::NotFound(Advice::new(message, "`lazaret redrive ls` lists them")))
        }
        Err(_) => {
            let message = format!("several redrives begin with '{prefix}'");
            Err(RunError::NotFound(Advice::new(message, "write more of the id")))
        }
    }
}

/// Letters that are read together.
const PAGE: usize = 1000;
/// Letters that are counted whenever somebody asks; of larger plans it is known what whoever runs them told last.
const COUNTED_MAX: u64 = 20_000;

/// How many letters are where now, whether somebody runs it or not.
pub async fn count(index: &Arc<dyn Quarantine>, run: &Run) -> Result<Tally, RunError> {
    if run.plan.letters > COUNTED_MAX || run.state == RunState::Draft {
        return Ok(run.tally);
    }
    let (mut pages, mut tally) = (pages::in_run(&**index, &run.id, PAGE), Tally::default());
    while let Some(letters) = pages.try_next().await? {
        letters.iter().for_each(|letter| tally.add(letter.fate));
    }
    Ok(tally)
}

/// Letters of a run that failed for good in this revision and were not edited; and those that were edited.
pub async fn unchanged(
    index: &Arc<dyn Quarantine>,
    run: &str,
    revision: &str,
) -> Result<(u64, u64), RunError> {
    let (mut pages, mut same, mut edited) = (pages::in_run(&**index, run, PAGE), 0, 0);
    while let Some(letters) = pages.try_next().await? {
        for Known { entry, edit, .. } in letters.into_iter().filter_map(|one| one.letter) {
            let is_same = entry.class == "permanent" && entry.revision.as_deref() == Some(revision);
            same += u64::from(is_same && edit.is_none());
            edited += u64::from(edit.is_some());
        }
    }
    Ok((same, edited))
}

/// Does it, in somebody's name. The run as it is then.
pub async fn command(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    producer: &Producer,
    run: &Run,
    command: &Command,
    by: &str,
    reason: Option<&str>,
) -> Result<Run, RunError> {
    let Some(becomes) = command.outcome(run.state) else {
        return Err(refused(run, command));
    };
    if *command == Command::Approve && run.by == by {
        let message = format!("'{by}' planned redrive {} and cannot approve it as well", run.id);
        return Err(RunError::Refused(Advice::new(message, "ask somebody else to look at it")));
    }
    let topic = operations(&Topology::derive(config))?;
    let acts = Acts::of(run.id.clone(), producer, &topic, by, reason);
    let act = acts.say(&command.deed()).await?;
    if matches!(command, Command::Pause | Command::Cancel) {
        // Whoever runs it, and hangs perhaps, sends nothing more.
        let cluster = reach(&config.kafka, "redrive").await?;
        drop(Sender::open(config, cluster, &run.id).await?);
    }
    // While a transaction is open on the topic, what stands behind it cannot be read.
    settled(&config.kafka, &[&topic], Instant::now() + REFRESH).await?;
    let after = find(config, index, &run.id).await?;
    // Somebody else may have been first.
    let is_ours = match becomes {
        RunState::Planned => after.approvals.iter().any(|approval| approval.by == by),
        RunState::Running => after.leg.as_deref() == Some(act.as_str()),
        _ => after.state == becomes,
    };
    match is_ours {
        true => Ok(after),
        false => Err(refused(&after, command)),
    }
}

fn refused(run: &Run, command: &Command) -> RunError {
    let message = format!("redrive {} is {} and cannot be {}", run.id, run.state.as_str(), command.words());
    let does = match run.state {
        RunState::Running => "attach",
        RunState::Paused | RunState::Stopped => "resume",
        RunState::Planned => "start",
        RunState::Draft | RunState::Cancelled | RunState::Finished => "report",
    };
    let hint = format!("what can be done with it is `lazaret redrive {does} {}`", run.id);
    RunError::Conflict(Advice::new(message, hint))
}
