//! The local embedding model: signed feature hashing of words, pairs of words and pieces of words. No weights,
//! no files, the same vector on every machine. It matches texts that share words or their forms; it knows no
//! synonyms and does not claim to.
//!
//! Feature hashing: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.

use std::collections::HashMap;

use super::words::{self, Run};

/// Length of a vector.
pub const DIMENSIONS: usize = 384;

// The two weights were chosen by the share of questions whose page was among the first five, over English and
// Japanese documentation; the result changes little between half and twice their values.

/// A pair of neighbouring words, against about 1 for a word.
const PAIR_WEIGHT: f32 = 0.5;
/// All the trigrams of one word together.
const TRIGRAMS_WEIGHT: f32 = 1.0;

/// What a feature is; features of different families never meet on purpose.
#[derive(Clone, Copy)]
enum Family {
    Term = 1,
    Pair = 2,
    Trigram = 3,
    /// Stands in for a text without a single feature, which would have no direction.
    Nothing = 4,
}

/// How often features occur, by hash.
#[derive(Default)]
struct Counts(HashMap<u64, (u32, f32)>);

impl Counts {
    fn add(&mut self, family: Family, text: &str, weight: f32) {
        let entry = self.0.entry(hash(family, text)).or_insert((0, weight));
        entry.0 += 1;
    }
}

/// The unit-length vector of a text.
pub fn embed(text: &str) -> Vec<f32> {
    let text = words::normalise(text);
    let mut counts = Counts::default();
    for term in words::terms(&text) {
        counts.add(Family::Term, &term.text, term.weight);
    }
    let mut previous: Option<String> = None;
    for run in words::runs(&text) {
        // A pair may span a stop word ("end of file"), but not Japanese, whose terms are pairs already.
        let Run::Word(word) = run else {
            previous = None;
            continue;
        };
        if words::is_stop_word(word) {
            continue;
        }
        trigrams(word, &mut counts);
        let stem = words::stem(word);
        if let Some(previous) = previous {
            counts.add(Family::Pair, &format!("{previous} {stem}"), PAIR_WEIGHT);
        }
        previous = Some(stem);
    }
    if counts.0.is_empty() {
        counts.add(Family::Nothing, "", 1.0);
    }
    project(&counts)
}

/// Pieces of three letters, so that `timeout` and `timeouts_max` have something in common.
fn trigrams(word: &str, counts: &mut Counts) {
    let letters: Vec<char> = std::iter::once('^').chain(word.chars()).chain(['$']).collect();
    let pieces = letters.windows(3);
    let weight = TRIGRAMS_WEIGHT / (pieces.len().max(1) as f32).sqrt();
    for piece in pieces {
        counts.add(Family::Trigram, &piece.iter().collect::<String>(), weight);
    }
}

/// Adds each feature at one place of the vector with a sign, both from its hash, and scales to length 1. A
/// feature that occurs often counts sublinearly.
fn project(counts: &Counts) -> Vec<f32> {
    // Added in the order of the hashes: floating-point sums depend on the order, and the map has none.
    let mut features: Vec<_> = counts.0.iter().collect();
    features.sort_unstable_by_key(|(hash, _)| **hash);
    let mut vector = vec![0.0f32; DIMENSIONS];
    for (hash, (count, weight)) in features {
        let value = weight * (1.0 + (*count as f32).ln());
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        if let Some(place) = vector.get_mut((hash % DIMENSIONS as u64) as usize) {
            *place += sign * value;
        }
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    } else if let Some(first) = vector.first_mut() {
        // Features that cancel out exactly: any direction is as good as another.
        *first = 1.0;
    }
    vector
}

/// FNV-1a over family and text, then the finaliser of SplitMix64, because FNV's low bits alone are poor.
fn hash(family: Family, text: &str) -> u64 {
    let bytes = std::iter::once(family as u8).chain(text.bytes());
    let fnv =
        bytes.fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The cosine of the angle between two unit vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f32 {
        cosine(&embed(a), &embed(b))
    }

    /// The index of the text that is nearest to the question.
    fn nearest(question: &str, texts: &[&str]) -> usize {
        let similarities: Vec<f32> = texts.iter().map(|t| similarity(question, t)).collect();
        let best = similarities.iter().copied().fold(f32::MIN, f32::max);
        similarities.iter().position(|s| *s == best).unwrap()
    }

    #[test]
    fn every_text_has_a_vector_of_length_one() {
        for text in ["", "!?", "a", "the retry ladder", "再試行", "🦀", &"word ".repeat(10_000)] {
            let vector = embed(text);
            let length = cosine(&vector, &vector);
            assert_eq!(vector.len(), DIMENSIONS);
            assert!((length - 1.0).abs() < 1e-4, "'{text}' has length {length}");
        }
    }

    #[test]
    fn a_text_has_the_same_vector_each_time_however_it_is_written() {
        assert_eq!(embed("Ｋａｆｋａ Broker"), embed("kafka broker"));
        assert_eq!(embed("ﾊﾟｰﾃｨｼｮﾝ"), embed("パーティション"));
    }

    #[test]
    fn forms_of_a_word_are_near_and_strangers_are_far() {
        assert!(similarity("retrying failed records", "a record that fails is retried") > 0.4);
        assert!(similarity("retrying failed records", "the harbour at low tide").abs() < 0.15);
    }

    #[test]
    fn an_english_question_finds_its_passage() {
        let texts = [
            "The lamp is lit at sunset. The keeper trims the wick every four hours and writes the time in the book.",
            "Ships from infected ports lie at anchor for forty days before the crew may go ashore.",
            "Bread is baked on Mondays; the flour is delivered by boat from the mainland.",
        ];
        assert_eq!(nearest("How long must a ship's crew wait at anchor?", &texts), 1);
        assert_eq!(nearest("When does the keeper trim the wick?", &texts), 0);
        assert_eq!(nearest("Who delivers flour?", &texts), 2);
    }

    #[test]
    fn a_japanese_question_finds_its_passage() {
        let texts = [
            "灯台守は四時間ごとに灯芯を切り、その時刻を帳簿に記録します。",
            "感染した港から来た船は、乗組員が上陸する前に四十日間停泊しなければなりません。",
            "パンは月曜日に焼かれ、小麦粉は本土から船で届きます。",
        ];
        assert_eq!(nearest("船は上陸の前に何日間停泊しますか？", &texts), 1);
        assert_eq!(nearest("小麦粉はどこから届きますか？", &texts), 2);
        assert_eq!(nearest("灯台守は何を記録しますか？", &texts), 0);
    }
}
