//! Numbers as Elias gamma codes: as many zero bits as the number has binary digits behind the first, then the
//! digits. 1 is `1`, 5 is `00101`. Short numbers take few bits, none takes more than a word or two. Pure.

/// The widest gap there can be between two offsets has 63 binary digits.
const BEHIND_FIRST_MAX: usize = 62;

/// The longest code: that of the widest gap.
pub(super) const BITS_MAX: usize = 2 * BEHIND_FIRST_MAX + 1;

/// How many bits the number takes; none is shorter than that of 1.
pub(super) fn bits(number: u64) -> usize {
    2 * digits_behind_first(number) + 1
}

fn digits_behind_first(number: u64) -> usize {
    number.max(1).ilog2() as usize
}

/// Bits in the order in which they were written, the last byte filled up with zeros.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    bits: usize,
}

impl Writer {
    pub fn bits(&self) -> usize {
        self.bits
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends a number from 1 upwards.
    pub fn push(&mut self, number: u64) {
        let behind = digits_behind_first(number);
        (0..behind).for_each(|_| self.bit(false));
        (0..=behind).rev().for_each(|digit| self.bit(number >> digit & 1 == 1));
    }

    fn bit(&mut self, bit: bool) {
        if self.bits.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if bit && let Some(last) = self.bytes.last_mut() {
            *last |= 0x80 >> (self.bits % 8);
        }
        self.bits += 1;
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The bits are not what a writer writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next number; `None` at the end, when nothing is left but the zeros that fill the last byte.
    pub fn next(&mut self) -> Result<Option<u64>, Malformed> {
        let mut behind = 0;
        loop {
            match self.bit() {
                Some(true) => break,
                Some(false) => behind += 1,
                None if behind < 8 => return Ok(None),
                None => return Err(Malformed),
            }
        }
        if behind > BEHIND_FIRST_MAX {
            return Err(Malformed);
        }
        let mut number = 1;
        for _ in 0..behind {
            number = 2 * number + u64::from(self.bit().ok_or(Malformed)?);
        }
        Ok(Some(number))
    }

    fn bit(&mut self) -> Option<bool> {
        let bit = self.bytes.get(self.at / 8)? << (self.at % 8) & 0x80 != 0;
        self.at += 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_codes_are_those_of_the_books() {
        let mut writer = Writer::default();
        [1, 2, 3, 4, 5].into_iter().for_each(|number| writer.push(number));
        assert_eq!(writer.bits(), 1 + 3 + 3 + 5 + 5);
        assert_eq!(writer.into_bytes(), [0b1010_0110, 0b0100_0010, 0b1000_0000]);
    }

    #[test]
    fn no_gap_between_two_offsets_is_too_wide() {
        assert_eq!(bits(i64::MAX as u64), BITS_MAX);
        for (number, read) in [(i64::MAX as u64, Ok(Some(i64::MAX as u64))), (1 << 63, Err(Malformed))] {
            let mut writer = Writer::default();
            writer.push(number);
            assert_eq!(Reader::new(&writer.into_bytes()).next(), read);
        }
    }

    #[test]
    fn more_zeros_than_fill_a_byte_are_not_an_end() {
        assert_eq!(Reader::new(&[0b1000_0000]).next(), Ok(Some(1)));
        for bytes in [&[0][..], &[0; 8], &[0; 4000], &[0b1000_0000, 0]] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.next().and_then(|_| reader.next()), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_takes_the_bits_it_should(numbers in proptest::collection::vec(1..=i64::MAX as u64, 0..50)) {
            let mut writer = Writer::default();
            numbers.iter().for_each(|number| writer.push(*number));
            prop_assert_eq!(writer.bits(), numbers.iter().map(|number| bits(*number)).sum::<usize>());
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            for number in numbers {
                prop_assert_eq!(reader.next(), Ok(Some(number)));
            }
            prop_assert_eq!(reader.next(), Ok(None));
        }

        /// Of two gaps and the record between them that become one: what the bound of the map rests on.
        #[test]
        fn joining_never_takes_more_bits(one in 0u64..1 << 40, other in 0u64..1 << 40, small in 0u64..300) {
            for (one, other) in [(one, other), (one, small), (small, one), (small, other % 300)] {
                prop_assert!(bits(one + 1 + other) <= bits(one) + 1 + bits(other));
            }
        }
    }
}
