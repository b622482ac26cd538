//! Does what rules say. Each is written down before, by a writer that only the latest sweep has, and that looks at the letters after
//! it has got it: two sweeps do not do the same thing twice.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::{How, Match, Outcome};
use crate::config::Config;
use crate::config::sweep::{Action, Discard, Redrive, Rule};
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::client::reach;
use crate::kafka::look::settled;
use crate::ops::archive;
use crate::ops::dlq::redrive::{Order, RedriveError, What, send_back_some};
use crate::ops::quarantine::{Acts, REFRESH};
use crate::ops::redrive::RunError;
use crate::ops::redrive::checks::{Limits, check, in_the_way};
use crate::ops::redrive::control::{self, Command, command};
use crate::ops::redrive::plan::{Selection, Wish, freeze, propose};
use crate::ops::redrive::send::{SendError, Sender};
use crate::quarantine::{Deed, LETTERS_MAX, Plan, Policy, Quarantine, Run, RunState};

/// How the transactional name of sweeps begins.
const SWEEP: &str = "sweep";

pub struct Sweeper<'a> {
    config: &'a Config,
    index: &'a Arc<dyn Quarantine>,
    /// The operation of what is not a run.
    sweep: &'a str,
    now: Timestamp,
    /// None in a dry run.
    hands: Option<Hands>,
}

struct Hands {
    /// The topic of operations.
    topic: String,
    sender: Sender,
    producer: Producer,
}

impl<'a> Sweeper<'a> {
    /// Takes over from whatever sweep is under way, unless nothing is to be done.
    pub async fn open(
        config: &'a Config,
        index: &'a Arc<dyn Quarantine>,
        sweep: &'a str,
        how: How,
        now: Timestamp,
    ) -> Result<Self, RunError> {
        let hands = match how {
            How::DryRun => None,
            How::Carry => {
                let topology = Topology::derive(config);
                let topic = control::operations(&topology)?;
                let cluster = reach(&config.kafka, SWEEP).await?;
                // Others on the same cluster have another topic of operations, and sweeps of their own.
                let sender = Sender::open_as(config, cluster, &format!("{SWEEP}.{topic}"), sweep).await?;
                // What an earlier sweep has written stands there now, and is seen once no transaction is open.
                settled(&config.kafka, &[&topic], Instant::now() + REFRESH).await?;
                Some(Hands { topic, sender, producer: Producer::new(&config.kafka, &topology, SWEEP)? })
            }
        };
        Ok(Self { config, index, sweep, now, hands })
    }

    /// What the rule says, with what it is for in one stage. An error ends the sweep: the index or Kafka fail, or another sweep
    /// has taken over.
    pub async fn carry_out(&mut self, rule: &Rule, found: &Match) -> Result<Outcome, RunError> {
        let by = format!("rule:{}", rule.name);
        let done = match (&rule.action, &mut self.hands) {
            (Action::Keep(_), _) => return Ok(Outcome::Kept),
            (Action::Redrive(redrive), _) => self.redrive(redrive, rule, found, &by).await,
            (_, None) => return Ok(Outcome::Would),
            (Action::Discard(discard), Some(hands)) => {
                hands.discard(self.config, self.index, discard, found, &by).await
            }
            (Action::Archive(_), Some(hands)) => {
                hands.archive(self.config, self.index, self.sweep, found, &by).await
            }
            (Action::Reclassify(to), Some(hands)) => {
                let deed = Deed::Reclassified { code: to.code.clone(), class: to.class.to_string() };
                hands.note(deed, found, &by).await
            }
            (Action::Assign(to), Some(hands)) => {
                hands.note(Deed::Assigned { owner: to.owner.clone() }, found, &by).await
            }
        };
        match done {
            // This is about these letters only.
            Err(
                error @ (RunError::NotFound(_)
                | RunError::Wrong(_)
                | RunError::Refused(_)
                | RunError::Conflict(_)),
            ) => Ok(Outcome::Failed { why: error.to_string() }),
            done => done,
        }
    }

    async fn redrive(
        &self,
        redrive: &Redrive,
        rule: &Rule,
        found: &Match,
        by: &str,
    ) -> Result<Outcome, RunError> {
        let reason = redrive.reason.clone().unwrap_or_else(|| format!("rule '{}'", rule.name));
        let wish = Wish {
            name: rule.name.clone(),
            selection: Selection::Rule { name: rule.name.clone(), ids: Vec::from(found.ids.clone()) },
            policy: policy(redrive),
            most: redrive.most.into(),
        };
        let proposal = propose(self.config, self.index, wish).await?;
        if let Some(hands) = &self.hands {
            self.clear(hands, &proposal.plan, by).await?;
        }
        let limits = Limits { lag: redrive.max_lag, cost: redrive.max_cost };
        let checks = check(self.config, self.index, &proposal.plan, None, limits, self.now).await?;
        let conditions = in_the_way(checks, &redrive.overridden);
        if !conditions.is_empty() {
            return Ok(Outcome::Held { conditions });
        }
        let Some(hands) = &self.hands else { return Ok(Outcome::Would) };
        hands.say(found, by, Some(&reason)).await?;
        let id = freeze(self.config, &hands.producer, proposal, by, Some(&reason)).await?;
        let run = control::find(self.config, self.index, &id).await?;
        let what = Command::Start { overridden: redrive.overridden.clone(), detached: true };
        let run = command(self.config, self.index, &hands.producer, &run, &what, by, Some(&reason)).await?;
        Ok(Outcome::Started { run: run.id })
    }

    /// Ends a run of a rule that stopped itself on the stage: what it was stopped by may be over, and the canaries of the next
    /// one find out. What a person started waits for a person.
    async fn clear(&self, hands: &Hands, plan: &Plan, by: &str) -> Result<(), RunError> {
        let is_ours = |run: &Run| run.driver.as_deref().is_some_and(|driver| driver.starts_with("rule:"));
        let stopped = |run: &Run| run.state == RunState::Stopped && run.holds_stage_of(plan) && is_ours(run);
        for run in self.index.active_runs().await?.into_iter().filter(stopped) {
            let why = Some("it stopped itself, and the next sweep plans anew");
            command(self.config, self.index, &hands.producer, &run, &Command::Cancel, by, why).await?;
        }
        Ok(())
    }
}

impl Hands {
    /// Says that the rule is carried out now.
    async fn say(&self, found: &Match, by: &str, reason: Option<&str>) -> Result<(), RunError> {
        let deed = Deed::Swept {
            action: found.action.to_owned(),
            pipeline: found.pipeline.clone(),
            stage: found.stage.clone(),
            count: found.now,
        };
        Ok(self.sender.note(Vec::new(), deed, by, reason).await?)
    }

    async fn note(&self, deed: Deed, found: &Match, by: &str) -> Result<Outcome, RunError> {
        self.say(found, by, None).await?;
        for letters in Vec::from(found.ids.clone()).chunks(LETTERS_MAX) {
            self.sender.note(letters.to_vec(), deed.clone(), by, None).await?;
        }
        Ok(Outcome::Done)
    }

    /// `sweep` is the operation of the acts.
    async fn archive(
        &self,
        config: &Config,
        index: &Arc<dyn Quarantine>,
        sweep: &str,
        found: &Match,
        by: &str,
    ) -> Result<Outcome, RunError> {
        self.say(found, by, None).await?;
        let (ids, mut letters) = (Vec::from(found.ids.clone()), Vec::new());
        for ids in ids.chunks(LETTERS_MAX) {
            letters.extend(index.get(ids).await?.into_iter().map(|known| known.entry));
        }
        let acts = Acts::of(sweep.to_owned(), &self.producer, &self.topic, by, None);
        let kept = async {
            let vault = archive::open(config)?;
            archive::keep_these(config, index, &vault, acts, letters).await
        };
        Ok(match kept.await {
            Ok(kept) if kept.lost == 0 => Outcome::Done,
            Ok(kept) => Outcome::Partly {
                done: kept.letters,
                refused: kept.lost,
                why: "Kafka had deleted them before they could be read".into(),
            },
            Err(error) => Outcome::Failed { why: error.to_string() },
        })
    }

    async fn discard(
        &mut self,
        config: &Config,
        index: &Arc<dyn Quarantine>,
        discard: &Discard,
        found: &Match,
        by: &str,
    ) -> Result<Outcome, RunError> {
        self.say(found, by, Some(&discard.reason)).await?;
        let order = Order { what: What::Discard, by: by.to_owned(), reason: Some(discard.reason.clone()) };
        let ids = Vec::from(found.ids.clone());
        match send_back_some(config, index, &mut self.sender, &ids, &order).await {
            Ok((_, refused)) if refused.is_empty() => Ok(Outcome::Done),
            Ok((sent, refused)) => Ok(Outcome::Partly {
                done: sent.len() as u64,
                refused: refused.len() as u64,
                why: refused.first().map(ToString::to_string).unwrap_or_default(),
            }),
            Err(RedriveError::Kafka(problem)) => Err(problem.into()),
            Err(RedriveError::Index(error)) => Err(error.into()),
            Err(RedriveError::Ledger(error)) => Err(error.into()),
            Err(RedriveError::Unwritten { mut errors, .. })
                if matches!(errors.first(), Some(SendError::TakenOver(_))) =>
            {
                Err(errors.remove(0).into())
            }
            Err(error) => Ok(Outcome::Failed { why: error.to_string() }),
        }
    }
}

fn policy(redrive: &Redrive) -> Policy {
    let usual = Policy::default();
    Policy {
        canary: redrive.canary.clone().unwrap_or(usual.canary),
        rate: redrive.rate.unwrap_or(usual.rate),
        gate: redrive.gate.unwrap_or(usual.gate),
        max_cost: redrive.max_cost,
        ..usual
    }
}
