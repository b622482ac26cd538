//! Partitions come and go: what is handed back, what is finished first, what is committed. Pure.

use jiff::Timestamp;

use super::{Effect, Engine, Lane};
use crate::message::TopicPartition;

impl Engine {
    /// A partition that was still being drained begins anew: Kafka delivers again what it held.
    pub(super) fn assigned(&mut self, partitions: Vec<(TopicPartition, Lane)>) {
        for (partition, lane) in partitions {
            if self.window.is_draining(&partition) {
                self.lost(std::slice::from_ref(&partition));
            }
            self.window.assign(partition, lane);
        }
    }

    /// What does not run is dropped at once; what runs may finish.
    pub(super) fn revoked(&mut self, partitions: Vec<TopicPartition>) {
        for slot in self.window.drain(&partitions) {
            self.forget(slot);
        }
        self.draining.push(partitions);
    }

    pub(super) fn lost(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            for slot in self.window.slots_of(partition) {
                self.forget(slot);
            }
            self.window.unassign(partition);
        }
        for group in &mut self.draining {
            group.retain(|partition| !partitions.contains(partition));
        }
    }

    pub(super) fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            let all = self.window.assigned();
            self.revoked(all);
        }
    }

    pub(super) fn drain_deadline(&mut self) {
        let late: Vec<_> =
            self.draining.iter().flatten().flat_map(|partition| self.window.slots_of(partition)).collect();
        for slot in late {
            self.forget(slot);
        }
    }

    /// Every revocation is answered once, when nothing of its partitions is left.
    pub(super) fn finish_drains(&mut self) {
        let (done, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.draining)
            .into_iter()
            .partition(|group| group.iter().all(|partition| self.window.slots_of(partition).is_empty()));
        self.draining = open;
        for partitions in done {
            let commit = partitions
                .iter()
                .filter_map(|partition| Some((partition.clone(), self.window.unassign(partition)?)))
                .collect();
            self.effects.push(Effect::Drained { partitions, commit });
        }
    }

    /// Commits are grouped: the first record that ends sets the time, all that end until then go with it.
    pub(super) fn commit(&mut self, now: Timestamp) {
        if !self.window.is_dirty() {
            return;
        }
        match self.next_commit {
            None => self.next_commit = now.saturating_add(self.spec.commit_every).ok(),
            Some(at) if at <= now => {
                self.next_commit = None;
                let commit = self.window.commits();
                if !commit.is_empty() {
                    self.effects.push(Effect::Commit(commit));
                }
            }
            Some(_) => {}
        }
    }
}
