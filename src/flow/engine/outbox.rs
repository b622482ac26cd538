//! What waits for the next transaction of its course. Pure.
//!
//! An output does not wait: whenever no transaction of outputs is under way, one begins. What fails can wait, and gathers:
//! a transaction, and each partition that it writes to, is work for the brokers however little goes there, and outputs have
//! the same brokers. So it goes together from time to time. It does not gather when nothing has failed for a while.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::alarm::Alarm;
use super::{Course, Publish, SlotId};

/// How long before it is due a record should be on its rung, so that its partition has been read by then.
const AHEAD: Duration = Duration::from_millis(200);

/// Most partitions of one transaction of what fails: the more there are, the longer all in it wait.
const PARTITIONS_MAX: usize = 24;

/// A topic for what fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aside {
    Rung(usize),
    Dead,
    Park,
}

#[derive(Debug, Default)]
struct Line {
    slots: VecDeque<SlotId>,
    /// One of them is due so soon that it must be on its rung.
    hurry: bool,
    next: Option<Alarm>,
}

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    /// What does not wait, by course.
    ready: [VecDeque<SlotId>; 2],
    /// What gathers, by topic and family: that is a partition, or, where a topic has few, a part of one.
    lines: BTreeMap<(Aside, i32), Line>,
    /// As many do not wait.
    many: usize,
    /// Time between two transactions with records that go to the same partition of such a topic.
    gather: Duration,
}

impl Line {
    fn is_ready(&self, many: usize, now: Timestamp) -> bool {
        let waited = || self.next.is_none_or(|next| next.is_due(now));
        self.hurry || self.slots.len() >= many || waited()
    }
}

impl Outbox {
    pub fn new(many: usize, gather: Duration) -> Self {
        Self { ready: Default::default(), lines: BTreeMap::new(), many, gather }
    }

    pub fn push(&mut self, id: SlotId, what: &Publish, family: i32, now: Timestamp) {
        let (aside, hurry) = match what {
            Publish::Output | Publish::Discard => return self.ready[Course::On as usize].push_back(id),
            Publish::Retry { rung, due, .. } => {
                (Aside::Rung(*rung), now.saturating_add(self.gather + AHEAD).is_ok_and(|soon| *due < soon))
            }
            Publish::Dead { .. } => (Aside::Dead, false),
            Publish::Park => (Aside::Park, false),
        };
        let line = self.lines.entry((aside, family)).or_default();
        line.slots.push_back(id);
        line.hurry |= hurry;
    }

    /// Before all others: its transaction was undone.
    pub fn push_again(&mut self, course: Course, id: SlotId) {
        self.ready[course as usize].push_front(id);
    }

    /// When something that gathers waits no longer, what has waited longest goes with it; at once, where `all` goes. False:
    /// nothing of the course goes now.
    pub fn gather(&mut self, course: Course, all: bool, now: Timestamp) -> bool {
        let ready = &mut self.ready[course as usize];
        if course == Course::On || (!ready.is_empty() && !all) {
            return !ready.is_empty();
        }
        let many = self.many;
        let is_ready = |line: &Line| !line.slots.is_empty() && line.is_ready(many, now);
        if !all && !self.lines.values().any(is_ready) {
            return false;
        }
        let mut lines: Vec<_> = self.lines.values_mut().filter(|line| !line.slots.is_empty()).collect();
        lines.sort_by_key(|line| (!line.is_ready(many, now), line.next.map(Alarm::at)));
        lines.truncate(if all { usize::MAX } else { PARTITIONS_MAX });
        for line in lines {
            ready.append(&mut line.slots);
            line.hurry = false;
            line.next = Some(Alarm::after(self.gather, now));
        }
        !ready.is_empty()
    }

    /// The next of those that do not wait.
    pub fn pop(&mut self, course: Course) -> Option<SlotId> {
        self.ready[course as usize].pop_front()
    }

    /// When the next of what gathers goes.
    pub fn next(&self) -> Option<Timestamp> {
        let lines = self.lines.values().filter(|line| !line.slots.is_empty());
        lines.filter_map(|line| line.next).map(Alarm::at).min()
    }

    pub fn clear(&mut self) {
        self.ready = Default::default();
        self.lines.clear();
    }
}
