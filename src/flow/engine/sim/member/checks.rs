//! Whether what the engine says is right.

use super::*;

impl Member {
    pub(super) fn check_start(&mut self, slot: SlotId, env: &mut Env) {
        let held = &self.hands.held[&slot];
        let work = held.work.as_ref().unwrap_or_else(|| panic!("{slot:?} began while {:?}", held.busy));
        env.truth.starts(&work.copy, env.now, &self.absorbed);
        let (name, offset) = &work.at;
        let ended = self.partitions.get(name).is_some_and(|part| has_ended(&part.start, *offset));
        assert!(!ended, "{:?} began, although it was committed as ended", work.at);
        assert!(!work.copy.discard, "{:?} was given up and began", work.copy);
        if self.engine.paused().is_some() {
            self.probes.insert(slot);
            assert!(self.probes.len() <= 1, "the stage pauses, and more than one record tries");
        }
        let runs = self.hands.held.values().filter(|held| held.busy == Some(Job::Attempt)).count();
        assert!(runs < env.plan.spec.concurrency || self.engine.paused().is_some(), "too many run");
    }

    /// Work that was begun is not thrown away in a planned rebalance.
    pub(super) fn check_forget(&self, slot: SlotId, cause: Cause) {
        let Some(held) = self.hands.held.get(&slot) else { return };
        let free = match cause {
            Cause::Gone => true,
            Cause::Planned => held.busy.is_none(),
            Cause::Of(of) => of == slot,
        };
        assert!(free, "{slot:?} was dropped while {:?} has it", held.busy);
    }

    pub(super) fn check_bounds(&self, env: &Env) {
        let mut held: BTreeMap<&TopicPartition, usize> = BTreeMap::new();
        for one in self.hands.held.values() {
            *held.entry(&one.at.0).or_default() += 1;
        }
        for (name, held) in
            held.into_iter().filter(|(name, _)| matches!(log::lane(name), Lane::Input | Lane::Park))
        {
            assert!(held <= env.plan.spec.window.max(1), "{held} records are held of {name}");
        }
    }
}
