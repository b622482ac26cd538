//! Counts of groups: of everything that passes, by fingerprint. Pure.

use super::looks::Looks;
use super::row;
use super::scan::Tally;
use super::seen::Seen;
use super::stripes::{Block, Column};
use super::tally::{Sum, place};
use crate::quarantine::{Kept, State, Tokens};

/// What is counted of one group. Times are `i64::MAX` where there is none.
#[derive(Clone, Debug)]
pub struct Heap {
    pub sum: Sum,
    pub states: [u64; State::ALL.len()],
    pub bytes: u64,
    pub tokens: Tokens,
    tenants: Seen,
    resources: Seen,
    /// The earliest death among those that are open or being redriven, and among those of them that nobody has looked at.
    pub oldest_open: i64,
    pub oldest_unseen: i64,
    /// The earliest time that Kafka counts the retention of open ones from that are not archived.
    pub oldest_record: i64,
    /// Keys of those that died last, in the same millisecond.
    pub latest: Vec<i64>,
}

/// What is counted of one letter.
struct Counted {
    key: i64,
    died: i64,
    state: State,
    tenant: i64,
    resource: i64,
    size: i64,
    /// Tokens, in and out.
    tokens: (i64, i64),
    logged: i64,
    is_looked_at: bool,
    is_only_in_kafka: bool,
}

impl Heap {
    const EMPTY: Self = Self {
        sum: Sum::NONE,
        states: [0; State::ALL.len()],
        bytes: 0,
        tokens: Tokens { input: 0, output: 0, letters: 0 },
        tenants: Seen::NONE,
        resources: Seen::NONE,
        oldest_open: i64::MAX,
        oldest_unseen: i64::MAX,
        oldest_record: i64::MAX,
        latest: Vec::new(),
    };

    pub fn tenants(&self) -> u64 {
        self.tenants.count()
    }

    pub fn resources(&self) -> u64 {
        self.resources.count()
    }

    fn add(&mut self, letter: &Counted) {
        let Counted { died, state, .. } = *letter;
        if died > self.sum.last {
            self.latest.clear();
        }
        if died >= self.sum.last {
            self.latest.push(letter.key);
        }
        self.sum.add(died);
        self.bytes = self.bytes.saturating_add(letter.size.unsigned_abs());
        self.tokens.add(letter.tokens.0, letter.tokens.1);
        self.states[state as usize] += 1;
        self.tenants.add(letter.tenant);
        self.resources.add(letter.resource);
        if state == State::Open && letter.is_only_in_kafka {
            self.oldest_record = self.oldest_record.min(letter.logged);
        }
        if matches!(state, State::Open | State::Redriving) {
            self.oldest_open = self.oldest_open.min(died);
            if !letter.is_looked_at {
                self.oldest_unseen = self.oldest_unseen.min(died);
            }
        }
    }
}

/// Heaps by the number of the fingerprint. Nothing stands for those that have none.
pub struct Heaps {
    pub heaps: Vec<Option<Box<Heap>>>,
    looks: Looks,
}

impl Heaps {
    pub fn of(looks: Looks) -> Self {
        Self { heaps: Vec::new(), looks }
    }
}

impl Tally for Heaps {
    fn columns(&self) -> Vec<Column> {
        COUNTED.to_vec()
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let columns = COUNTED.map(|column| block.column(column));
        for n in chosen.iter().copied() {
            let values = columns.map(|values| values.get(n).copied());
            let (
                Some(key),
                [
                    Some(state),
                    Some(print),
                    Some(tenant),
                    Some(resource),
                    Some(died),
                    Some(size),
                    Some(looked),
                    Some(logged),
                    Some(kept),
                    Some(input),
                    Some(output),
                ],
            ) = (block.keys.get(n).copied(), values)
            else {
                continue;
            };
            let is_looked_at = looked != 0 || self.looks.has(print, died);
            let state = row::state(state);
            let is_only_in_kafka = kept == Kept::Kafka as i64;
            let tokens = (input, output);
            let letter = Counted {
                key,
                died,
                state,
                tenant,
                resource,
                size,
                tokens,
                logged,
                is_looked_at,
                is_only_in_kafka,
            };
            place(&mut self.heaps, print, None).get_or_insert_with(|| Box::new(Heap::EMPTY)).add(&letter);
        }
    }
}

const COUNTED: [Column; 11] = [
    Column::State,
    Column::Fingerprint,
    Column::Tenant,
    Column::Resource,
    Column::Died,
    Column::Size,
    Column::Looked,
    Column::Logged,
    Column::Kept,
    Column::TokensIn,
    Column::TokensOut,
];
