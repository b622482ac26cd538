//! How many different numbers there were. Numbers of names leave no gaps, so that a bit for each is most often the smallest and
//! the quickest way to remember them; those of a group that has few of many are kept as they are. Pure.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::row::NONE;

/// Numbers below this one always have bits.
const BITS_MIN: usize = 4096;
/// Bits for each number that was seen, at most: as much room as it would take as it is.
const BITS_EACH: usize = 128;

/// See the module.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Of the numbers up to here.
    bits: Vec<u64>,
    /// All others.
    rest: Option<HashSet<usize, BuildHasherDefault<Scatter>>>,
    count: usize,
}

impl Seen {
    pub const NONE: Self = Self { bits: Vec::new(), rest: None, count: 0 };

    pub fn count(&self) -> u64 {
        self.count as u64
    }

    /// The number that stands for none is not counted.
    #[inline]
    pub fn add(&mut self, number: i64) {
        let Some(number) = usize::try_from(number).ok().filter(|_| number != NONE) else { return };
        let most = BITS_MIN.max((self.count + 1) * BITS_EACH);
        if number / 64 >= self.bits.len() && number < most {
            self.widen(number);
        }
        let is_new = match self.bits.get_mut(number / 64) {
            Some(bits) => set(bits, number),
            None => self.rest.get_or_insert_default().insert(number),
        };
        self.count += usize::from(is_new);
    }

    /// Gives this number a bit, and all below twice as many, so that it is seldom done.
    fn widen(&mut self, number: usize) {
        self.bits.resize((number / 64 + 1).next_power_of_two(), 0);
        let bits = &mut self.bits;
        if let Some(rest) = &mut self.rest {
            rest.retain(|number| match bits.get_mut(number / 64) {
                Some(bits) => !set(bits, *number),
                None => true,
            });
        }
    }
}

/// Whether it was not set before.
#[inline]
fn set(bits: &mut u64, number: usize) -> bool {
    let bit = 1 << (number % 64);
    let is_new = *bits & bit == 0;
    *bits |= bit;
    is_new
}

/// Numbers that are given out here one after the other need no hash that withstands an enemy.
#[derive(Default)]
struct Scatter(u64);

impl Hasher for Scatter {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize((*byte).into()));
    }

    /// Fibonacci hashing; the upper half is the better one.
    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0 ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_counts_once(
            numbers in prop::collection::vec(prop_oneof![0i64..200, 0i64..20_000, 0i64..5_000_000, any::<i64>()], 0..400),
        ) {
            let mut seen = Seen::NONE;
            let mut model = HashSet::new();
            for number in numbers {
                seen.add(number);
                model.extend((number > NONE).then_some(number));
                prop_assert_eq!(seen.count(), model.len() as u64);
            }
        }
    }

    #[test]
    fn bits_take_no_more_room_than_the_numbers_would_but_for_a_few() {
        let mut seen = Seen::NONE;
        (0..3000).for_each(|n| seen.add(1 + n * 100_000));
        assert_eq!(seen.count(), 3000);
        assert!(seen.bits.len() * 64 <= 2 * BITS_EACH * 3000, "{}", seen.bits.len());
        let mut dense = Seen::NONE;
        (0..200_000).for_each(|n| dense.add(1 + n * 7919 % 200_000));
        assert!(dense.rest.is_none_or(|rest| rest.is_empty()), "all have bits in the end");
    }
}
