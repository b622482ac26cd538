//! Waiting until every input has ended: how long, and what is told when it does not happen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::account::Balance;
use super::{Demo, DemoError};
use crate::config::Span;
use crate::ops::offsets::{self, Read};
use crate::worker::{Counts, Tally};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);
/// How long the last offsets may take to be committed after the last record has ended.
const COMMITS: Duration = Duration::from_secs(10);

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For everything.
    pub total: Duration,
    /// Without any record getting further.
    pub stall: Duration,
}

/// How things stand while they run.
pub struct Progress<'a> {
    pub elapsed: Duration,
    pub tallies: &'a [Arc<Tally>],
    pub balance: Balance,
}

/// Why the waiting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Every input has ended.
    Complete,
    Interrupted,
    /// The time was up, or nothing moved any more; the text says where things stand.
    Stuck(String),
}

impl Demo {
    /// Waits until everything submitted has ended.
    pub(super) async fn settle(
        &mut self,
        interrupted: &CancellationToken,
        show: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Halt, DemoError> {
        let (mut last, mut moved_at) = (0, Instant::now());
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while interrupted.run_until_cancelled(ticks.tick()).await.is_some() {
            self.follower.catch_up(&mut self.account).await?;
            let (balance, elapsed) = (self.account.balance(), self.begun.elapsed());
            show(&Progress { elapsed, tallies: self.tallies(), balance });
            if balance.open == 0 {
                return Ok(Halt::Complete);
            }
            let moves = self.tallies().iter().map(|tally| moves(&tally.counts())).sum();
            if moves != last {
                (last, moved_at) = (moves, Instant::now());
            }
            if elapsed > self.limits.total {
                return Ok(self.stuck(format!("not done within {}", Span(self.limits.total))));
            }
            if moved_at.elapsed() > self.limits.stall {
                return Ok(self.stuck(format!("nothing moved for {}", Span(self.limits.stall))));
            }
        }
        Ok(Halt::Interrupted)
    }

    fn stuck(&self, why: String) -> Halt {
        const NAMED: usize = 3;
        let stages = self.tallies().iter().filter_map(|tally| {
            let stands = standing(&tally.counts())?;
            Some(format!("{}.{} {stands}", tally.pipeline, tally.stage))
        });
        let open = self.account.balance().open;
        let named: Vec<_> = self.account.open().take(NAMED).map(|input| input.resource.clone()).collect();
        let more = if open > NAMED as u64 { ", …" } else { "" };
        let stages = stages.map(|stage| format!("; {stage}")).collect::<String>();
        let inputs = if open == 1 { "input has" } else { "inputs have" };
        Halt::Stuck(format!("{why}: {open} {inputs} not ended ({}{more}){stages}", named.join(", ")))
    }

    /// The groups' offsets. When all is done, the last commits are waited for.
    pub(super) async fn offsets(&self, halt: &Halt) -> Result<Vec<Read>, DemoError> {
        let give_up = Instant::now() + COMMITS;
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let topics = offsets::look(&self.config.kafka, &self.topology).await?;
            let is_read = topics.iter().all(|topic| topic.left == 0);
            if is_read || *halt != Halt::Complete || Instant::now() > give_up {
                return Ok(topics);
            }
        }
    }
}

/// Grows whenever a record gets further.
fn moves(counts: &Counts) -> u64 {
    let faults = counts.retried.values().chain(counts.dead.values()).sum::<u64>();
    counts.read + counts.done + counts.sent + faults
}

/// What a stage holds and does not get rid of.
fn standing(counts: &Counts) -> Option<String> {
    let waiting: usize = counts.waiting.values().sum();
    let mut parts = Vec::new();
    if counts.running > 0 {
        parts.push(format!("works on {}", counts.running));
    }
    if waiting > 0 {
        parts.push(format!("has {waiting} on its ladder"));
    }
    if let Some(why) = &counts.paused {
        parts.push(format!("pauses ({why})"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Code;

    #[test]
    fn a_retry_and_a_dead_letter_are_moves_and_waiting_is_none() {
        let mut counts = Counts { read: 1, ..Counts::default() };
        let before = moves(&counts);
        counts.running = 5;
        counts.waiting.insert("rung".into(), 3);
        assert_eq!(moves(&counts), before);
        counts.retried.insert(Code::LlmTimeout, 1);
        counts.dead.insert(Code::ParseCorrupt, 1);
        assert_eq!(moves(&counts), before + 2);
    }

    #[test]
    fn a_stage_that_holds_nothing_is_not_named_as_stuck() {
        assert_eq!(standing(&Counts { read: 9, done: 9, ..Counts::default() }), None);
        let mut counts =
            Counts { running: 2, paused: Some("llm.unavailable: down".into()), ..Counts::default() };
        counts.waiting.insert("rung".into(), 3);
        let text = "works on 2, has 3 on its ladder, pauses (llm.unavailable: down)";
        assert_eq!(standing(&counts).as_deref(), Some(text));
    }
}
