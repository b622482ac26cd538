//! Maps and sets by slot. Slots are numbered by us, one after the other, so that a hash which withstands an adversary would be
//! wasted on them.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::SlotId;

/// See the module.
pub type Slots<T> = HashMap<SlotId, T, BuildHasherDefault<Number>>;
/// See the module.
pub type SlotSet = HashSet<SlotId, BuildHasherDefault<Number>>;

/// Spreads a number over all bits by multiplication with the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
#[derive(Default)]
pub struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 << 8 | u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_own() {
        let slots: Slots<u64> = (0..10_000).map(|n| (SlotId(n), n)).collect();
        assert!((0..10_000).all(|n| slots.get(&SlotId(n)) == Some(&n)));
    }
}
