//! Partitions come and go, and the member with them.

use super::*;

impl Member {
    /// Whether the group says something that does not have to wait for what is committed to be certain.
    pub fn may_read_mail(&self, env: &Env) -> bool {
        match env.group.read(self.seat) {
            Some(Notice::Assigned(families)) => {
                let names = families.iter().flat_map(|family| log::family(*family, env.rungs()));
                self.stopping || env.broker.committed(&names.collect::<Vec<_>>()).is_some()
            }
            other => other.is_some(),
        }
    }

    pub fn notice(&mut self, env: &mut Env) {
        let Some(notice) = env.group.read(self.seat) else { return };
        let event = match notice {
            Notice::Assigned(_) if self.stopping => None,
            Notice::Assigned(families) => {
                let names: Vec<_> = families.iter().flat_map(|f| log::family(*f, env.rungs())).collect();
                let Some(committed) = env.broker.committed(&names) else { return };
                names.iter().for_each(|name| drop(self.committed.remove(name)));
                self.absorbed.retain(|(name, _)| !names.contains(name));
                let came: Vec<Came> = names.into_iter().zip(committed).map(Came::read).collect();
                for came in &came {
                    self.partitions.insert(came.name.clone(), came.part());
                }
                self.arrivals.begin(came);
                None
            }
            Notice::Revoked(families) => {
                let names: Vec<_> = families.iter().flat_map(|f| log::family(*f, env.rungs())).collect();
                self.arrivals.cancel(&names);
                self.releases.push((families, names.clone()));
                self.drain_deadline.get_or_insert(env.after(env.plan.drain));
                Some(Event::Revoked(names))
            }
            Notice::Lost => {
                let names: Vec<_> = self.partitions.keys().cloned().collect();
                self.arrivals.cancel(&names);
                self.partitions.clear();
                self.committed.clear();
                self.releases.clear();
                Some(Event::Lost(names))
            }
        };
        env.group.throw_away(self.seat);
        env.trace(|| format!("{}: the group says it is {event:?}", self.id));
        if matches!(event, Some(Event::Lost(_))) && !self.stopping {
            self.seat = env.group.join();
        }
        if let Some(event) = event {
            self.handle(event, env);
        }
    }

    /// The ledger is told what is committed, and tells what is outstanding, if it answers.
    pub fn arrive(&mut self, batch: usize, env: &mut Env) {
        match self.arrivals.step(batch, env) {
            None => {}
            Some(Ok((term, assigned))) => {
                let names = assigned.iter().map(|one| &one.partition);
                let mut parts: Vec<_> = names.cloned().collect();
                parts.sort();
                for (_, part) in self.partitions.iter_mut().filter(|(name, _)| parts.contains(name)) {
                    part.term = term;
                }
                self.hands.end_doubt(&assigned.iter().map(|one| one.partition.clone()).collect(), env.now);
                self.handle(Event::Assigned(assigned), env);
            }
            Some(Err(Stale)) => self.handle(Event::Ousted, env),
        }
    }

    pub(super) fn drained(
        &mut self,
        partitions: Vec<TopicPartition>,
        commit: Vec<(TopicPartition, Position)>,
        env: &mut Env,
    ) {
        self.committed.extend(commit);
        for name in &partitions {
            let held = self.hands.held.values().find(|held| held.at.0 == *name);
            assert!(held.is_none(), "{name} was let go and holds {held:?}");
        }
        let last: Vec<_> = partitions.iter().filter_map(|name| self.committed.remove_entry(name)).collect();
        if self.transactions.is_some() {
            assert!(last.is_empty(), "offsets were committed without a transaction");
        }
        self.commit(&last, env);
        for name in &partitions {
            self.partitions.remove(name);
        }
        let answered = |names: &Vec<TopicPartition>| names.iter().all(|name| partitions.contains(name));
        for (families, _) in self.releases.iter().filter(|(_, names)| answered(names)) {
            env.group.release(self.seat, families);
        }
        self.releases.retain(|(_, names)| !answered(names));
        if self.releases.is_empty() && !self.stopping {
            self.drain_deadline = None;
        }
        if self.is_gone()
            && let Some(transactions) = &mut self.transactions
        {
            transactions.give_up();
        }
    }

    /// Everything begins anew from what is committed, once that is certain.
    pub fn join_anew(&mut self, env: &mut Env) {
        let all: Vec<_> = self.partitions.keys().cloned().collect();
        self.arrivals.cancel(&all);
        self.releases.clear();
        self.partitions.clear();
        self.committed.clear();
        self.drain_deadline = None;
        if self.transactions.as_mut().is_some_and(|transactions| !transactions.open(env)) {
            return;
        }
        self.ousted = false;
        env.group.remove(self.seat);
        let inherited = self.inherits.take().and_then(|old| env.group.take_over(old));
        self.seat = inherited.unwrap_or_else(|| env.group.join());
        self.rejoin = false;
    }

    pub fn stop(&mut self, env: &mut Env) {
        self.stopping = true;
        let deadline = env.after(env.plan.drain);
        self.drain_deadline = Some(self.drain_deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        for name in self.arrivals.abandon() {
            self.partitions.remove(&name);
        }
        self.handle(Event::Stop, env);
    }
}
