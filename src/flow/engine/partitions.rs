//! Partitions come and go: what is handed back, what is finished first, when they may be let go. Pure.

use super::{Assigned, Delivery, Effect, Engine};
use crate::message::TopicPartition;

/// Partitions that were revoked together.
#[derive(Debug)]
pub(super) struct Drain {
    partitions: Vec<TopicPartition>,
    /// The time for it is over: nothing is waited for.
    late: bool,
}

impl Engine {
    /// A partition that was still being drained begins anew: Kafka delivers again what it held.
    pub(super) fn assigned(&mut self, partitions: Vec<Assigned>) {
        for assigned in partitions {
            let name = assigned.partition.clone();
            if self.window.is_draining(&name) {
                self.lost(&[name]);
            }
            self.window.assign(assigned);
        }
    }

    /// What does not run is dropped at once; what runs may finish.
    pub(super) fn revoked(&mut self, partitions: Vec<TopicPartition>) {
        for slot in self.window.drain(&partitions) {
            self.forget(slot);
        }
        self.draining.push(Drain { partitions, late: false });
    }

    pub(super) fn lost(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            for slot in self.window.slots_of(partition) {
                self.forget(slot);
            }
            self.window.unassign(partition);
        }
        for drain in &mut self.draining {
            drain.partitions.retain(|partition| !partitions.contains(partition));
        }
    }

    /// Nothing in hand is ours any more, or nobody knows whether it is. A stage that stops has nothing left to do.
    pub(super) fn begin_anew(&mut self) {
        let all = self.window.all();
        self.lost(&all);
        self.outbox.clear();
        self.transactions.clear();
        self.ousted = false;
        let drained = Effect::Drained { partitions: all, commit: Vec::new() };
        self.effects.push(if self.stopping { drained } else { Effect::Rejoin });
    }

    pub(super) fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            let all = self.window.assigned();
            self.revoked(all);
        }
    }

    pub(super) fn drain_deadline(&mut self) {
        let mut late = Vec::new();
        for drain in &mut self.draining {
            drain.late = true;
            late.extend(drain.partitions.iter().flat_map(|partition| self.window.slots_of(partition)));
        }
        for slot in late {
            self.forget(slot);
        }
    }

    /// Whether a revoked partition waits for nothing but its last offsets.
    pub(super) fn drains_need_a_commit(&self) -> bool {
        self.draining.iter().any(|drain| {
            let empty = drain.partitions.iter().all(|partition| self.window.slots_of(partition).is_empty());
            empty && !drain.late && self.window.is_dirty_in(&drain.partitions)
        })
    }

    /// Every revocation is answered once, when nothing of its partitions is left.
    pub(super) fn finish_drains(&mut self) {
        let (done, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.draining).into_iter().partition(|drain| self.is_drained(drain));
        self.draining = open;
        for Drain { partitions, .. } in done {
            let last =
                |partition: &TopicPartition| Some((partition.clone(), self.window.unassign(partition)?));
            let mut commit: Vec<_> = partitions.iter().filter_map(last).collect();
            if self.spec.delivery == Delivery::ExactlyOnce {
                // Offsets go in transactions or not at all; what ended without one is found in the ledger.
                commit.clear();
            }
            self.effects.push(Effect::Drained { partitions, commit });
        }
    }

    fn is_drained(&self, drain: &Drain) -> bool {
        let empty = drain.partitions.iter().all(|partition| self.window.slots_of(partition).is_empty());
        let in_transaction =
            || self.transactions.touches(&drain.partitions) || self.window.is_dirty_in(&drain.partitions);
        empty && (drain.late || self.spec.delivery == Delivery::AtLeastOnce || !in_transaction())
    }
}
