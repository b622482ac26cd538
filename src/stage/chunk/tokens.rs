//! How long a text is in tokens, in time that grows with the text and never faster.
//!
//! The tokens are those of o200k_base. Long runs without a break are counted in pieces: the tokenizer's
//! pattern backtracks on long white space until it gives up, and its pair merging is slow on long words.

use text_splitter::ChunkSizer;
use tiktoken_rs::CoreBPE;

/// Longest run handed to the tokenizer in one piece, bytes. Real words and CJK sentences are shorter.
const RUN_MAX: usize = 512;

/// Counts tokens of o200k_base.
#[derive(Clone, Copy)]
pub struct Tokens(&'static CoreBPE);

impl Tokens {
    /// Loads the vocabulary on first use, which takes a moment.
    pub fn new() -> Self {
        Self(tiktoken_rs::o200k_base_singleton())
    }

    pub fn count(self, text: &str) -> usize {
        pieces(text).map(|piece| self.0.encode_ordinary(piece).len()).sum()
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkSizer for Tokens {
    fn size(&self, chunk: &str) -> usize {
        self.count(chunk)
    }
}

/// Cuts the text only where a run of characters of one class grows too long; most texts stay whole.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(piece_end(rest));
        rest = tail;
        Some(piece)
    })
}

fn piece_end(text: &str) -> usize {
    let mut run_start = 0;
    let mut run_class = None;
    for (at, c) in text.char_indices() {
        let class = Some(Class::of(c));
        if class != run_class {
            run_start = at;
            run_class = class;
        } else if at - run_start >= RUN_MAX {
            return at;
        }
    }
    text.len()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Word,
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        if c.is_whitespace() {
            Class::Space
        } else if c.is_alphanumeric() {
            Class::Word
        } else {
            Class::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_counts_as_the_tokenizer_counts_it() {
        let tokens = Tokens::new();
        for text in
            ["", "An apple a day.", "東京は日本の首都です。人口は約1400万人。", "  fn main() {}\n\n\t"]
        {
            assert_eq!(tokens.count(text), tokens.0.encode_ordinary(text).len(), "{text}");
        }
    }

    #[test]
    fn only_a_long_run_is_cut_and_nothing_is_lost() {
        let words = "word ".repeat(1000);
        assert_eq!(pieces(&words).count(), 1);
        for c in [" ", "a", "漢", "-", "🦀"] {
            let run = c.repeat(5_000);
            assert!(pieces(&run).all(|p| p.len() <= RUN_MAX + 4), "{c}");
            assert_eq!(pieces(&run).collect::<String>(), run);
        }
    }

    #[test]
    fn white_space_on_which_the_pattern_would_give_up_is_counted() {
        let text = format!("{}x", " ".repeat(2_000_000));
        assert!(Tokens::new().count(&text) > 1_000);
    }
}
