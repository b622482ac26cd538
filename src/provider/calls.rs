//! What was asked and what came of it: the memory of the simulator. Tests read it to prove that nothing was
//! paid twice. Bounded: it forgets the oldest bodies and calls, and says how many.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::faults::BodyHash;

/// Most distinct bodies remembered.
const BODIES_MAX: usize = 100_000;
/// Most calls kept in the log.
const LOG_MAX: usize = 10_000;
/// Most repeated bodies listed.
const REPEATS_MAX: usize = 100;

/// One call, as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    pub endpoint: &'static str,
    /// blake3 of endpoint and body.
    pub body: String,
    /// How the first text of the body begins.
    pub text: String,
    /// Which try of this body it was, from 0.
    pub attempt: u32,
    /// HTTP status, `hang` or `truncated`.
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// A body that was answered more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repeat {
    pub body: String,
    pub answered: u32,
}

/// Everything counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls by endpoint and outcome.
    pub calls: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Distinct bodies.
    pub bodies: usize,
    /// Bodies that were answered at least once.
    pub answered: usize,
    /// Bodies that were answered, and would have been paid for, more than once.
    pub answered_again: usize,
    /// The first of those.
    pub repeats: Vec<Repeat>,
    /// Bodies that were too many to remember.
    pub forgotten: u64,
}

#[derive(Default)]
pub struct Calls(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    bodies: HashMap<BodyHash, Body>,
    /// In the order in which they were first seen.
    order: VecDeque<BodyHash>,
    forgotten: u64,
    counts: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    log: VecDeque<Call>,
}

#[derive(Default)]
struct Body {
    tries: u32,
    answered: u32,
}

impl Calls {
    /// A body arrived; says which try of it this is, from 0.
    pub fn arrived(&self, body: &BodyHash) -> u32 {
        let mut memory = self.memory();
        if !memory.bodies.contains_key(body) {
            memory.order.push_back(*body);
            if memory.order.len() > BODIES_MAX
                && let Some(oldest) = memory.order.pop_front()
            {
                memory.bodies.remove(&oldest);
                memory.forgotten += 1;
            }
        }
        let entry = memory.bodies.entry(*body).or_default();
        entry.tries += 1;
        entry.tries - 1
    }

    /// What came of it. A 200 counts as answered and paid.
    pub fn ended(&self, call: Call, body: &BodyHash) {
        let mut memory = self.memory();
        if call.outcome == "200"
            && let Some(entry) = memory.bodies.get_mut(body)
        {
            entry.answered += 1;
        }
        *memory.counts.entry(call.endpoint).or_default().entry(call.outcome).or_default() += 1;
        if memory.log.len() == LOG_MAX {
            memory.log.pop_front();
        }
        memory.log.push_back(call);
    }

    pub fn stats(&self) -> Stats {
        let memory = self.memory();
        let again = || memory.order.iter().filter_map(|h| Some((h, memory.bodies.get(h)?.answered)));
        let repeats = again().filter(|(_, answered)| *answered > 1);
        Stats {
            calls: memory.counts.clone(),
            bodies: memory.bodies.len(),
            answered: again().filter(|(_, answered)| *answered > 0).count(),
            answered_again: repeats.clone().count(),
            repeats: repeats
                .take(REPEATS_MAX)
                .map(|(hash, answered)| Repeat { body: hash.to_hex().to_string(), answered })
                .collect(),
            forgotten: memory.forgotten,
        }
    }

    /// The latest calls, oldest first.
    pub fn log(&self) -> Vec<Call> {
        self.memory().log.iter().cloned().collect()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Counts may be off by one after a panic; that is no reason to stop serving.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(outcome: &'static str) -> Call {
        Call {
            endpoint: "chat",
            body: String::new(),
            text: String::new(),
            attempt: 0,
            outcome,
            idempotency_key: None,
        }
    }

    #[test]
    fn a_body_answered_twice_is_seen() {
        let (calls, once, twice) = (Calls::default(), blake3::hash(b"once"), blake3::hash(b"twice"));
        assert_eq!((calls.arrived(&once), calls.arrived(&once), calls.arrived(&twice)), (0, 1, 0));
        calls.ended(call("429"), &once);
        calls.ended(call("200"), &once);
        calls.ended(call("200"), &twice);
        assert_eq!(calls.stats().answered_again, 0);
        calls.ended(call("200"), &twice);
        let stats = calls.stats();
        assert_eq!((stats.bodies, stats.answered, stats.answered_again), (2, 2, 1));
        assert_eq!(stats.repeats, [Repeat { body: twice.to_hex().to_string(), answered: 2 }]);
        assert_eq!(stats.calls["chat"]["200"], 3);
        assert_eq!(calls.log().len(), 4);
    }

    #[test]
    fn the_oldest_bodies_are_forgotten_first() {
        let calls = Calls::default();
        for n in 0..BODIES_MAX as u32 + 3 {
            calls.arrived(&blake3::hash(&n.to_le_bytes()));
        }
        let stats = calls.stats();
        assert_eq!((stats.bodies, stats.forgotten), (BODIES_MAX, 3));
        assert_eq!(calls.arrived(&blake3::hash(&3u32.to_le_bytes())), 1, "this one is still known");
    }
}
