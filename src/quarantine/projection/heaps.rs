//! Counts of groups: of everything that passes, by fingerprint. Pure.

use std::collections::HashSet;

use super::row::NONE;
use super::scan::Tally;
use super::stripes::{Block, Column};
use super::tally::{Sum, place};
use crate::quarantine::State;

/// Numbers up to this one are remembered as bits.
const BITS_MAX: i64 = 4096;

/// What is counted of one group.
#[derive(Clone, Debug)]
pub struct Heap {
    pub sum: Sum,
    pub states: [u64; State::ALL.len()],
    pub bytes: u64,
    tenants: Seen,
    /// Keys of those that died last, in the same millisecond.
    pub latest: Vec<i64>,
}

impl Heap {
    const EMPTY: Self = Self {
        sum: Sum::NONE,
        states: [0; State::ALL.len()],
        bytes: 0,
        tenants: Seen { bits: Vec::new(), rest: None, count: 0 },
        latest: Vec::new(),
    };

    pub fn tenants(&self) -> u64 {
        self.tenants.count
    }

    fn add(&mut self, key: i64, died: i64, state: i64, tenant: i64, size: i64) {
        if died > self.sum.last {
            self.latest.clear();
        }
        if died >= self.sum.last {
            self.latest.push(key);
        }
        self.sum.add(died);
        self.bytes = self.bytes.saturating_add(size.unsigned_abs());
        if let Some(count) = usize::try_from(state).ok().and_then(|n| self.states.get_mut(n)) {
            *count += 1;
        }
        if tenant != NONE {
            self.tenants.add(tenant);
        }
    }
}

/// Different numbers.
#[derive(Clone, Debug)]
struct Seen {
    bits: Vec<u64>,
    rest: Option<HashSet<i64>>,
    count: u64,
}

impl Seen {
    fn add(&mut self, number: i64) {
        let is_new = if (0..BITS_MAX).contains(&number) {
            let bits = place(&mut self.bits, number / 64, 0);
            let bit = 1 << (number % 64);
            let is_new = *bits & bit == 0;
            *bits |= bit;
            is_new
        } else {
            self.rest.get_or_insert_default().insert(number)
        };
        self.count += u64::from(is_new);
    }
}

/// Heaps by the number of the fingerprint. Nothing stands for those that have none.
#[derive(Default)]
pub struct Heaps(pub Vec<Option<Box<Heap>>>);

impl Tally for Heaps {
    fn columns(&self) -> Vec<Column> {
        vec![Column::State, Column::Fingerprint, Column::Tenant, Column::Died, Column::Size]
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let (states, prints) = (block.column(Column::State), block.column(Column::Fingerprint));
        let (tenants, sizes) = (block.column(Column::Tenant), block.column(Column::Size));
        let deaths = block.column(Column::Died);
        for n in chosen.iter().copied() {
            let (Some(key), Some(died), Some(state)) = (block.keys.get(n), deaths.get(n), states.get(n))
            else {
                continue;
            };
            let (Some(print), Some(tenant), Some(size)) = (prints.get(n), tenants.get(n), sizes.get(n))
            else {
                continue;
            };
            let heap = place(&mut self.0, *print, None).get_or_insert_with(|| Box::new(Heap::EMPTY));
            heap.add(*key, *died, *state, *tenant, *size);
        }
    }
}
