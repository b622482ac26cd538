//! What waits for the next transaction of its course. Pure.
//!
//! An output does not wait: whenever no transaction of outputs is under way, one begins. What fails can wait, and gathers,
//! since each transaction costs the brokers some work however little is in it. It does not gather when nothing has
//! failed for a while.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::alarm::Alarm;
use super::{Course, Publish, SlotId};

/// How long before it is due a record should be on its rung, so that its partition has been read by then.
const AHEAD: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    on: VecDeque<SlotId>,
    aside: VecDeque<SlotId>,
    /// What goes aside waits no longer: one is due so soon that it must be on its rung, or was tried before.
    hurry: bool,
    /// When what goes aside does not wait any longer.
    next: Option<Alarm>,
    /// As many do not wait.
    many: usize,
    /// Time between two transactions of what goes aside.
    gather: Duration,
}

impl Outbox {
    pub fn new(many: usize, gather: Duration) -> Self {
        Self { on: VecDeque::new(), aside: VecDeque::new(), hurry: false, next: None, many, gather }
    }

    pub fn push(&mut self, id: SlotId, what: &Publish, now: Timestamp) {
        match Course::of(what) {
            Course::On => self.on.push_back(id),
            Course::Aside => {
                self.aside.push_back(id);
                self.hurry |= match what {
                    Publish::Retry { due, .. } => {
                        now.saturating_add(self.gather + AHEAD).is_ok_and(|soon| *due < soon)
                    }
                    _ => false,
                };
            }
        }
    }

    /// Before all others: its transaction was undone.
    pub fn push_again(&mut self, course: Course, id: SlotId) {
        match course {
            Course::On => self.on.push_front(id),
            Course::Aside => {
                self.aside.push_front(id);
                self.hurry = true;
            }
        }
    }

    /// Whether what waits goes now, as the `last` ones all do.
    pub fn goes(&mut self, course: Course, last: bool, now: Timestamp) -> bool {
        if course == Course::On {
            return !self.on.is_empty();
        }
        let waited = || self.next.is_none_or(|next| next.is_due(now));
        let goes =
            !self.aside.is_empty() && (self.hurry || last || self.aside.len() >= self.many || waited());
        if goes {
            self.hurry = false;
            self.next = Some(Alarm::after(self.gather, now));
        }
        goes
    }

    pub fn pop(&mut self, course: Course) -> Option<SlotId> {
        match course {
            Course::On => self.on.pop_front(),
            Course::Aside => self.aside.pop_front(),
        }
    }

    /// When what gathers goes.
    pub fn next(&self) -> Option<Timestamp> {
        self.next.map(Alarm::at).filter(|_| !self.aside.is_empty())
    }

    pub fn clear(&mut self) {
        self.on.clear();
        self.aside.clear();
        self.hurry = false;
    }
}
