//! A coarse first look at vectors: of each stored vector the signs alone, one bit per dimension, against the
//! question's numbers as they are. A search looks at 48 bytes instead of 1.5 KB per passage that way, and
//! reads in full only the few that may be among the best. Pure.
//!
//! The idea is that of asymmetric distances on quantised vectors (Jégou, Douze, Schmid, "Product Quantization
//! for Nearest Neighbor Search", 2011) with one bit per dimension.

/// The signs of a vector, lowest bit first; set where the number is positive.
pub fn signs(vector: &[f32]) -> Vec<u8> {
    vector
        .chunks(8)
        .map(|eight| eight.iter().enumerate().fold(0, |byte, (n, x)| byte | (u8::from(*x > 0.0) << n)))
        .collect()
}

/// Scores signs against one question.
pub struct Sieve {
    /// For each byte of signs, what each of its 256 values adds.
    tables: Vec<[f32; 256]>,
}

impl Sieve {
    pub fn of(vector: &[f32]) -> Self {
        Self { tables: vector.chunks(8).map(table).collect() }
    }

    /// The dot product of the question with a vector of ones and minus ones; `None` when the lengths differ.
    pub fn score(&self, signs: &[u8]) -> Option<f32> {
        if signs.len() != self.tables.len() {
            return None;
        }
        let mut sum = 0.0;
        for (table, byte) in self.tables.iter().zip(signs) {
            sum += table[usize::from(*byte)];
        }
        Some(sum)
    }
}

fn table(eight: &[f32]) -> [f32; 256] {
    let mut table = [0.0; 256];
    for (byte, sum) in table.iter_mut().enumerate() {
        *sum = eight.iter().enumerate().map(|(n, x)| if byte >> n & 1 == 1 { *x } else { -x }).sum();
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_per_dimension_lowest_first() {
        assert_eq!(signs(&[1.0, -1.0, 0.5, 0.0, -0.1, 0.0, 0.0, 9.0, 3.0]), [0b1000_0101, 0b1]);
        assert!(signs(&[]).is_empty());
    }

    #[test]
    fn the_score_is_the_dot_product_with_the_signs() {
        let question = [0.5, -0.25, 0.125, 1.0, 2.0, -4.0, 8.0, 16.0, -32.0, 64.0];
        let stored = [1.0, -0.1, -2.0, 0.3, 0.2, 0.1, -0.7, 5.0, -1.0, 2.0];
        let expected: f32 = question.iter().zip(stored).map(|(q, s): (&f32, f32)| q * s.signum()).sum();
        assert_eq!(Sieve::of(&question).score(&signs(&stored)), Some(expected));
    }

    #[test]
    fn another_length_has_no_score() {
        assert_eq!(Sieve::of(&[1.0; 16]).score(&signs(&[1.0; 24])), None);
    }
}
