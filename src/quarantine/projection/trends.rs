//! Deaths of every group in the parts of a stretch of time, in one scan. Pure.

use super::scan::Tally;
use super::stripes::{Block, Column};
use super::tally::place;
use crate::quarantine::Stretch;

/// Counts by the number of the fingerprint. Nothing stands for those that have none.
pub struct Trends {
    stretch: Stretch,
    pub counts: Vec<Option<Box<[u64]>>>,
}

impl Trends {
    pub fn over(stretch: Stretch) -> Self {
        Self { stretch, counts: Vec::new() }
    }
}

impl Tally for Trends {
    fn columns(&self) -> Vec<Column> {
        vec![Column::Fingerprint, Column::Died]
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let (prints, deaths) = (block.column(Column::Fingerprint), block.column(Column::Died));
        for n in chosen {
            let (Some(print), Some(died)) = (prints.get(*n), deaths.get(*n)) else { continue };
            let Some(part) = self.stretch.part_of(*died) else { continue };
            let empty = || vec![0; self.stretch.parts].into_boxed_slice();
            let counts = place(&mut self.counts, *print, None).get_or_insert_with(empty);
            if let Some(count) = counts.get_mut(part) {
                *count += 1;
            }
        }
    }
}
