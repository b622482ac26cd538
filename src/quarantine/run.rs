//! A redrive of many: a plan that is frozen, and the run of it. Everything about it stands on the topic of operations, as
//! acts whose operation is the run; what it is follows from them. Plain data and pure functions.

mod fate;
mod plan;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::fate::{Fate, Tally};
pub use self::plan::{Estimate, Plan, Policy, Preview};
use super::Known;
use super::act::{Act, Deed};

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
    /// All its letters were run or had been, and none died again.
    pub fn ended_well(&self) -> bool {
        self.state == RunState::Finished && self.tally.failed == 0 && self.tally.expired == 0
    }

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
