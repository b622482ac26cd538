//! A redrive of many: a plan that is frozen, and the run of it. Everything about it stands on the topic of operations, as
//! acts whose operation is the run; what it is follows from them. Plain data and pure functions.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::act::{Act, Deed, Outcome};
use super::{Known, State};
use crate::config::Span;

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
    pub policy: Policy,
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
}

impl Default for Policy {
    fn default() -> Self {
        Self { canary: vec![1, 5, 25], rate: 50, gate: 95, outstanding: 1000, patience: Span::secs(600) }
    }
}

impl Policy {
    /// How long so many letters take at least, at the rate; the canaries take as long as the stage does.
    pub fn duration(&self, letters: u64) -> Duration {
        let canaries = self.canary.iter().map(|size| u64::from(*size)).sum();
        Duration::from_secs(letters.saturating_sub(canaries).div_ceil(u64::from(self.rate.max(1))))
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not all letters of its plan are written down: whoever made it did not come to the end.
    Draft,
    Planned,
    Running,
    /// Somebody paused it.
    Paused,
    /// It stopped itself. It may be resumed.
    Stopped,
    Cancelled,
    Finished,
}

impl RunState {
    pub const ALL: [RunState; 7] = [
        RunState::Draft,
        RunState::Planned,
        RunState::Running,
        RunState::Paused,
        RunState::Stopped,
        RunState::Cancelled,
        RunState::Finished,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Draft => "draft",
            RunState::Planned => "planned",
            RunState::Running => "running",
            RunState::Paused => "paused",
            RunState::Stopped => "stopped",
            RunState::Cancelled => "cancelled",
            RunState::Finished => "finished",
        }
    }

    /// It has begun and not ended: no other one may run on its stage.
    pub fn is_active(self) -> bool {
        matches!(self, RunState::Running | RunState::Paused | RunState::Stopped)
    }
}

/// How many letters of a plan are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Not sent yet.
    pub left: u64,
    /// Sent, and nobody knows what became of them.
    pub pending: u64,
    pub succeeded: u64,
    /// Dead again.
    pub failed: u64,
    /// Not run, since the ledger had them as done.
    pub skipped: u64,
    /// Deleted by Kafka before they were sent.
    pub expired: u64,
    /// Somebody else sent them back, or gave them up.
    pub elsewhere: u64,
}

impl Tally {
    pub fn add(&mut self, fate: Fate) {
        *self.of(fate) += 1;
    }

    pub fn remove(&mut self, fate: Fate) {
        let count = self.of(fate);
        *count = count.saturating_sub(1);
    }

    /// Those of which it is known how they ended in this run.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed
    }

    pub fn sent(&self) -> u64 {
        self.pending + self.ended()
    }

    fn of(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::Left => &mut self.left,
            Fate::Pending => &mut self.pending,
            Fate::Succeeded => &mut self.succeeded,
            Fate::Failed => &mut self.failed,
            Fate::Skipped => &mut self.skipped,
            Fate::Expired => &mut self.expired,
            Fate::Elsewhere => &mut self.elsewhere,
        }
    }
}

/// What became of a letter in a run. See [`Tally`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Left,
    Pending,
    Succeeded,
    Failed,
    Skipped,
    Expired,
    Elsewhere,
}

impl Fate {
    pub const ALL: [Fate; 7] = [
        Fate::Left,
        Fate::Pending,
        Fate::Succeeded,
        Fate::Failed,
        Fate::Skipped,
        Fate::Expired,
        Fate::Elsewhere,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Left => "left",
            Fate::Pending => "pending",
            Fate::Succeeded => "succeeded",
            Fate::Failed => "failed",
            Fate::Skipped => "skipped",
            Fate::Expired => "expired",
            Fate::Elsewhere => "elsewhere",
        }
    }

    /// `state` is the letter's, `None` when the index does not know it; `acts` are those on it, of any operation.
    pub fn of(run: &str, state: Option<State>, acts: &[Act]) -> Self {
        let (mut sent, mut skipped) = (false, false);
        for act in acts.iter().filter(|act| act.operation == run) {
            match act.deed {
                Deed::Redriven => sent = true,
                Deed::Settled { outcome: Outcome::Returned } => sent = false,
                Deed::Settled { outcome: Outcome::Skipped } => skipped = true,
                _ => {}
            }
        }
        match (state, sent) {
            (Some(State::Resolved), _) if skipped => Fate::Skipped,
            (Some(State::Resolved), true) => Fate::Succeeded,
            (Some(State::Superseded), true) => Fate::Failed,
            (Some(State::Redriving), true) => Fate::Pending,
            (Some(State::Open), _) => Fate::Left,
            (Some(State::Expired) | None, _) => Fate::Expired,
            _ => Fate::Elsewhere,
        }
    }
}

/// A letter of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InRun {
    /// Its place in the plan, from 0.
    pub place: u64,
    pub id: String,
    pub fate: Fate,
    /// How often it was sent back or given up, by anybody.
    pub sent_before: u32,
    /// `None` when the index does not have it.
    pub letter: Option<Known>,
}

/// Somebody agreed that a plan is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Approval {
    pub by: String,
    pub at: Timestamp,
    pub reason: Option<String>,
}

/// A plan and what became of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// The operation of all its acts.
    pub id: String,
    /// Who started or resumed it last, and why.
    pub driver: Option<String>,
    pub because: Option<String>,
    /// The act by which it was started or resumed last, and when.
    pub leg: Option<String>,
    pub leg_at: Option<Timestamp>,
    /// Whoever runs it has told something since.
    pub told: bool,
    pub state: RunState,
    pub plan: Plan,
    pub by: String,
    pub planned_at: Timestamp,
    /// By others than the one who planned it, before it was started.
    pub approvals: Vec<Approval>,
    pub started_at: Option<Timestamp>,
    /// Preconditions that somebody set aside.
    pub overridden: Vec<String>,
    /// Why it is in its state, as far as somebody said it.
    pub reason: Option<String>,
    /// The last act of it, whatever it was.
    pub last: Timestamp,
    /// As far as whoever runs it has told.
    pub tally: Tally,
    /// The same when it was started or resumed last.
    pub baseline: Tally,
    /// How many times it was started or resumed.
    pub legs: u32,
    /// It was started for somebody else to run it, and nobody has told anything of it since.
    pub unclaimed: bool,
}

impl Run {
    /// It is under way on the stage of this plan.
    pub fn holds_stage_of(&self, plan: &Plan) -> bool {
        self.state.is_active() && self.plan.pipeline == plan.pipeline && self.plan.stage == plan.stage
    }

    /// The approvals by which this person may start it: those of others.
    pub fn approved_for(&self, by: &str) -> impl Iterator<Item = &Approval> {
        self.approvals.iter().filter(move |approval| approval.by != by)
    }

    /// `enlisted`: how many letters of the plan are written down. `acts` are those of one operation, in order, but for those
    /// on letters. `None` when no plan is among them.
    pub fn of(acts: &[Act], enlisted: u64) -> Option<Self> {
        let mut acts = acts.iter();
        let (first, plan) = acts.find_map(|act| match &act.deed {
            Deed::Planned { plan } => Some((act, plan)),
            _ => None,
        })?;
        let state = if enlisted < plan.letters { RunState::Draft } else { RunState::Planned };
        let mut run = Self {
            id: first.operation.clone(),
            driver: None,
            because: None,
            leg: None,
            leg_at: None,
            told: false,
            state,
            plan: (**plan).clone(),
            by: first.by.clone(),
            planned_at: first.at,
            approvals: Vec::new(),
            started_at: None,
            overridden: Vec::new(),
            reason: first.reason.clone(),
            last: first.at,
            tally: Tally { left: plan.letters, ..Tally::default() },
            baseline: Tally { left: plan.letters, ..Tally::default() },
            legs: 0,
            unclaimed: false,
        };
        acts.for_each(|act| run.take(act));
        Some(run)
    }

    /// What does not follow from the state it is in changes nothing: of two that come at once the first counts.
    fn take(&mut self, act: &Act) {
        use RunState as State;
        let next = match (&act.deed, self.state) {
            // Nobody approves what is his own.
            (Deed::Approved, State::Planned) if act.by != self.by => {
                let Act { by, at, reason, .. } = act.clone();
                self.approvals.push(Approval { by, at, reason });
                self.last = at;
                return;
            }
            (Deed::Started { .. }, State::Planned)
                if self.plan.approval && self.approved_for(&act.by).next().is_none() =>
            {
                return;
            }
            (Deed::Started { overridden, detached }, State::Planned) => {
                self.started_at = Some(act.at);
                self.overridden.clone_from(overridden);
                self.begin_leg(act, *detached);
                State::Running
            }
            (Deed::Resumed { detached }, State::Paused | State::Stopped) => {
                self.begin_leg(act, *detached);
                State::Running
            }
            (Deed::Paused, State::Running) => State::Paused,
            (Deed::Cancelled, State::Planned | State::Draft) => State::Cancelled,
            (Deed::Cancelled, state) if state.is_active() => State::Cancelled,
            (Deed::Progress { tally }, _) => {
                (self.tally, self.last, self.unclaimed) = (*tally, act.at, false);
                // What was told before the leg may be older than its beginning.
                if !std::mem::replace(&mut self.told, true) {
                    self.baseline = *tally;
                }
                return;
            }
            (Deed::Stopped { tally }, State::Running) => {
                self.tally = *tally;
                State::Stopped
            }
            (Deed::Finished { tally }, State::Running) => {
                self.tally = *tally;
                State::Finished
            }
            _ => return,
        };
        (self.state, self.last) = (next, act.at);
        self.reason.clone_from(&act.reason);
    }

    fn begin_leg(&mut self, act: &Act, detached: bool) {
        self.driver = Some(act.by.clone());
        (self.leg, self.leg_at, self.told) = (Some(act.id.clone()), Some(act.at), false);
        // Who goes on without a word does it for the reason that there was.
        self.because = act.reason.clone().or(self.because.take());
        self.unclaimed = detached;
        self.baseline = self.tally;
        self.legs += 1;
    }
}

#[cfg(test)]
mod tests;
