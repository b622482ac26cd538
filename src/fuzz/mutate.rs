//! Small changes of an input, the same for the same seed.

/// Numbers that look random (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this one; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        if end == 0 { 0 } else { (number % end as u64) as usize }
    }
}

/// Bytes on which parsers turn.
const TELLING: &[u8] = b"\0\x01\x7f\x80\xff\n\r\t '\"\\<>&;:,.-+/[](){}#%$0159AZaz";

/// The input with one to four changes; now and then a piece of the other one goes in.
pub fn mutate(input: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let end = at + dice.below((bytes.len() - at).min(64) + 1);
        match dice.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes
                .splice(at..at, vec![TELLING[dice.below(TELLING.len())]; 1 + dice.below(9)])
                .for_each(drop),
            3 => {
                let piece = bytes[at..end].repeat(1 + dice.below(8));
                bytes.splice(at..at, piece);
            }
            4 => {
                let from = dice.below(other.len());
                let to = from + dice.below((other.len() - from).min(256) + 1);
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            change => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match change {
                        5 => *byte ^ 1 << dice.below(8),
                        6 => byte.wrapping_add([1, 255][dice.below(2)]),
                        _ => TELLING[dice.below(TELLING.len())],
                    };
                }
            }
        }
    }
    bytes
}
