//! Records in a transaction: what goes into it, and what its answer means for those that were forgotten meanwhile.

use std::collections::HashSet;
use std::sync::Arc;

use super::Hands;
use super::lines::complain_of_refusal;
use crate::flow::engine::{Course, Publish, Refusal, SlotId};
use crate::kafka::ProduceError;
use crate::message::{OutRecord, TopicPartition};
use crate::worker::work::Work;
use crate::worker::{publish, traced};

impl Hands {
    /// What goes into a transaction for these records.
    pub fn begin_transaction(&mut self, course: Course, slots: &[SlotId]) -> Vec<(SlotId, Arc<[OutRecord]>)> {
        self.in_transaction[course as usize] = slots.iter().copied().collect();
        let records = |slot: &SlotId| {
            let prepared = self.held.get(slot)?.work.as_ref()?.prepared.as_ref()?;
            Some((*slot, prepared.records.clone()))
        };
        slots.iter().filter_map(records).collect()
    }

    /// Kafka has answered: the transaction was committed, or nothing of it can be seen.
    pub fn end_transaction(&mut self, course: Course, committed: bool) {
        for slot in std::mem::take(&mut self.in_transaction[course as usize]) {
            let held = self.held.get_mut(&slot).and_then(|held| held.work.as_mut());
            if let Some(work) = held {
                work.produced = committed;
            }
            if let Some(mut work) = self.limbo.remove(&slot) {
                work.produced = committed;
                self.hand_back(slot, work);
            }
        }
    }

    /// Nobody knows whether the transaction was committed; another that was open is given up with it.
    pub fn doubt_transactions(&mut self) {
        self.doubtful.extend(self.in_transaction.iter_mut().flat_map(std::mem::take));
        for mut work in std::mem::take(&mut self.limbo).into_values() {
            traced::released(&self.kit, &mut work);
            self.doubt.push(*work);
        }
    }

    /// These partitions are ours again, and the ledger has been told what was committed of them: what it does not
    /// know as ended was not committed, and is given back.
    pub fn end_doubt<'a>(&mut self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        let partitions: HashSet<&TopicPartition> = partitions.collect();
        let (known, open) = std::mem::take(&mut self.doubt)
            .into_iter()
            .partition(|work: &Work| partitions.contains(&work.record.topic_partition()));
        self.doubt = open;
        for work in known {
            let slot = SlotId(self.next_slot);
            self.next_slot += 1;
            self.hand_back(slot, Box::new(work));
        }
    }

    /// What Kafka's refusal of a record means.
    pub fn refusal(&mut self, slot: SlotId, error: &ProduceError) -> Refusal {
        let held = self.held.get_mut(&slot);
        let what = held.as_ref().and_then(|held| held.what.as_ref()).unwrap_or(&Publish::Output);
        let refusal = publish::refusal(&self.kit, what, error);
        if let Some(held) = held {
            complain_of_refusal(held.span(&self.kit), &self.kit, &refusal);
        }
        refusal
    }
}
