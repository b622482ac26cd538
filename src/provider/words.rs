//! Text to terms, for English and Japanese alike: the small linguistics that the embedder and the answerer
//! share. Pure.

use unicode_normalization::UnicodeNormalization;

/// English words that say nothing about a text's subject.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "before", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he",
    "her", "his", "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "more", "most", "much",
    "must", "my", "no", "not", "of", "on", "one", "only", "or", "other", "our", "out", "over", "s", "she",
    "should", "so", "some", "such", "t", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "to", "under", "up", "use", "used", "uses", "using", "was", "we", "were",
    "what", "when", "where", "which", "while", "who", "why", "will", "with", "would", "you", "your",
];

/// A stretch of text without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// Letters and digits of a script that puts spaces between words.
    Word(&'a str),
    /// Kanji, hiragana and katakana, which have no spaces.
    Cjk(&'a str),
}

/// Something a text speaks about, and how much it says: rare-looking terms weigh more.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub text: String,
    pub weight: f32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Word,
    Han,
    Hiragana,
    Katakana,
    Other,
}

fn script(c: char) -> Script {
    match c {
        '\u{3041}'..='\u{309f}' => Script::Hiragana,
        '\u{30fb}' => Script::Other,
        '\u{30a1}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Script::Katakana,
        '\u{3005}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
            Script::Han
        }
        '\u{20000}'..='\u{3ffff}' => Script::Han,
        _ if c.is_alphanumeric() => Script::Word,
        _ => Script::Other,
    }
}

/// The same characters for the same text: NFKC (full-width Latin, half-width katakana) and lower case.
pub fn normalise(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// The runs of a normalised text, in order.
pub fn runs(text: &str) -> Vec<Run<'_>> {
    let is_cjk = |c| matches!(script(c), Script::Han | Script::Hiragana | Script::Katakana);
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let other = |c: char| match script(first) {
            Script::Other => script(c) != Script::Other,
            Script::Word => script(c) != Script::Word,
            _ => !is_cjk(c),
        };
        let (run, tail) = rest.split_at(rest.find(other).unwrap_or(rest.len()));
        match script(first) {
            Script::Other => {}
            Script::Word => runs.push(Run::Word(run)),
            _ => runs.push(Run::Cjk(run)),
        }
        rest = tail;
    }
    runs
}

/// True for a word that is left out of the terms.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// The terms of a normalised text, repeated as often as they occur: stems of words, and pieces of Japanese.
pub fn terms(text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    for run in runs(text) {
        match run {
            Run::Word(word) if is_stop_word(word) => {}
            Run::Word(word) => terms.push(Term { text: stem(word), weight: weight(word) }),
            Run::Cjk(run) => cjk_terms(run, &mut terms),
        }
    }
    terms
}

/// Short words are mostly common ones; identifiers and numbers are mostly rare.
fn weight(word: &str) -> f32 {
    let letters = word.chars().count() as f32;
    let digits = if word.bytes().any(|b| b.is_ascii_digit()) { 0.3 } else { 0.0 };
    (0.6 + 0.1 * letters).min(1.5) + digits
}

/// Pairs of characters, kanji alone, and katakana words. Hiragana is mostly grammar and weighs little.
fn cjk_terms(run: &str, terms: &mut Vec<Term>) {
    let characters: Vec<char> = run.chars().collect();
    for pair in characters.windows(2) {
        let hiragana = pair.iter().filter(|c| script(**c) == Script::Hiragana).count();
        let weight = [1.0, 0.5, 0.1].get(hiragana).copied().unwrap_or(0.1);
        terms.push(Term { text: pair.iter().collect(), weight });
    }
    for character in characters.iter().filter(|c| script(**c) == Script::Han) {
        terms.push(Term { text: character.to_string(), weight: 0.3 });
    }
    for word in run.split(|c| script(c) != Script::Katakana).filter(|w| w.chars().count() >= 3) {
        terms.push(Term { text: word.to_owned(), weight: 1.3 });
    }
}

/// Takes the commonest English endings off, so that `retries`, `retried` and `retrying` meet. It only has to be
/// the same on both sides; the result need not be a word.
pub fn stem(word: &str) -> String {
    if !word.is_ascii() || word.len() < 4 {
        return word.to_owned();
    }
    let singular = without_plural(word);
    let mut stem = without_ending(&singular);
    if stem.len() > 3 && stem.ends_with('e') {
        stem.pop();
    }
    if stem.len() > 3 && stem.ends_with('y') {
        stem.pop();
        stem.push('i');
    }
    stem
}

fn without_plural(word: &str) -> String {
    if let Some(base) = word.strip_suffix("ies").filter(|b| b.len() > 1) {
        return format!("{base}y");
    }
    if let Some(base) = word.strip_suffix("es")
        && ["s", "x", "z", "ch", "sh"].iter().any(|end| base.ends_with(end))
    {
        return base.to_owned();
    }
    let keeps_its_s = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    word.strip_suffix('s').filter(|_| !keeps_its_s).unwrap_or(word).to_owned()
}

/// Takes `ing` and `ed` off, and the letter that was doubled before them.
fn without_ending(word: &str) -> String {
    if let Some(base) = word.strip_suffix("ied").filter(|b| b.len() > 1) {
        return format!("{base}y");
    }
    let base = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed"));
    let is_stem = |b: &&str| b.len() > 2 && b.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let Some(base) = base.filter(is_stem) else {
        return word.to_owned();
    };
    let mut letters = base.chars().rev();
    let (last, before) = (letters.next(), letters.next());
    let doubled = last == before && !matches!(last, Some('l' | 's' | 'z' | 'a' | 'e' | 'i' | 'o' | 'u'));
    base.get(..base.len() - usize::from(doubled)).unwrap_or(base).to_owned()
}

/// About how many tokens a model would count: four letters of Latin text, or one character of Japanese.
pub fn token_estimate(text: &str) -> u64 {
    let (mut wide, mut narrow) = (0, 0);
    for c in text.chars() {
        if c.is_ascii() { narrow += 1 } else { wide += 1 }
    }
    wide + u64::div_ceil(narrow, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stop_words_are_sorted_for_the_search() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn forms_of_one_word_share_a_stem() {
        for forms in [
            &["retry", "retries", "retried", "retrying"][..],
            &["cache", "caches", "cached", "caching"],
            &["stop", "stops", "stopped", "stopping"],
            &["process", "processes", "processed", "processing"],
            &["install", "installs", "installed", "installing"],
            &["batch", "batches", "batched"],
            &["configure", "configured", "configures", "configuring"],
        ] {
            let stems: Vec<String> = forms.iter().map(|f| stem(f)).collect();
            assert!(stems.iter().all(|s| s == &stems[0]), "{forms:?} became {stems:?}");
        }
    }

    #[test]
    fn different_words_keep_different_stems() {
        for (a, b) in
            [("string", "str"), ("status", "state"), ("need", "nee"), ("bus", "bu"), ("class", "clas")]
        {
            assert_ne!(stem(a), stem(b));
        }
    }

    #[test]
    fn runs_break_where_the_script_changes() {
        let text = normalise("Ｋａｆｋａのﾊﾟｰﾃｨｼｮﾝ数は12個。OK?");
        assert_eq!(
            runs(&text),
            [
                Run::Word("kafka"),
                Run::Cjk("のパーティション数は"),
                Run::Word("12"),
                Run::Cjk("個"),
                Run::Word("ok")
            ]
        );
    }

    #[test]
    fn japanese_grammar_weighs_less_than_its_nouns() {
        let terms = terms("設定しています");
        let weight = |text: &str| terms.iter().find(|t| t.text == text).unwrap().weight;
        assert!(weight("設定") > 5.0 * weight("てい"));
    }

    #[test]
    fn only_punctuation_has_no_terms() {
        assert!(terms("!? … 。、").is_empty());
    }
}
