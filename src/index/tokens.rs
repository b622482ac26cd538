//! Text to search terms, the same for passages and questions. Pure.
//!
//! Text is folded by NFKC and lower case. A run of letters and digits is a word and gets a light English
//! stem; words joined by `-`, `.` or `_` (`apt-get`, `sources.list`) are also kept as one term, since such
//! names are what documentation is asked about. Scripts without spaces between words give overlapping pairs
//! of characters, also across the end of a line, and a Han character that stands alone between other scripts
//! also gives itself. A question asks for a katakana word as a whole: its pairs in sequence.

use unicode_normalization::UnicodeNormalization;

/// Longest term, in characters. Longer words are encoded data, not language.
const TERM_MAX: usize = 48;
/// Most different terms of one question.
const QUERY_MAX: usize = 48;
/// Words of this many parts joined by punctuation are one name; longer ones are lists or sentences.
const JOINED_MAX: usize = 5;

/// All terms of a text, in order, separated by spaces: what the full text index stores.
pub fn terms(text: &str) -> String {
    let mut joined = String::with_capacity(text.len() + text.len() / 4);
    scan(text, |term| {
        joined.push_str(&term.text);
        joined.push(' ');
    });
    joined
}

/// The different terms of a question, in order. One of several words is a sequence: terms to be found side by
/// side. Words that stand in every text are left out, unless nothing else is there.
pub fn query_terms(text: &str) -> Vec<String> {
    let (mut telling, mut empty) = (Vec::new(), Vec::new());
    let mut keep = |term: Term| {
        let list = if term.empty { &mut empty } else { &mut telling };
        if list.len() < QUERY_MAX && !list.contains(&term.text) {
            list.push(term.text);
        }
    };
    let mut katakana: Option<Term> = None;
    scan(text, |term| match &mut katakana {
        // Its pairs one by one would outweigh every other word of the question.
        Some(word) if term.follows && is_katakana(&term.text) => word.text.extend([" ", &term.text]),
        _ => {
            katakana.take().map(without_last_vowel).into_iter().for_each(&mut keep);
            if is_katakana(&term.text) { katakana = Some(term) } else { keep(term) }
        }
    });
    katakana.map(without_last_vowel).into_iter().for_each(&mut keep);
    if telling.is_empty() { empty } else { telling }
}

/// The long vowel at the end of a word is written or not: `サーバー`, `サーバ`.
fn without_last_vowel(mut word: Term) -> Term {
    if word.text.ends_with('ー')
        && let Some(last) = word.text.rfind(' ')
    {
        word.text.truncate(last);
    }
    word
}

fn is_katakana(term: &str) -> bool {
    term.chars().all(|c| matches!(c, '\u{30a1}'..='\u{30fa}' | 'ー'))
}

fn is_hiragana(c: char) -> bool {
    ('\u{3041}'..='\u{3096}').contains(&c)
}

struct Term {
    text: String,
    /// Says next to nothing about what a text is about.
    empty: bool,
    /// A pair that begins with the last character of the pair before it.
    follows: bool,
}

impl Term {
    fn word(text: String, empty: bool) -> Self {
        Self { text, empty, follows: false }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Letters and digits of scripts that separate words.
    Letter,
    Han,
    /// Other scripts that do not separate words, or only loosely.
    Dense,
    Apostrophe,
    /// May join two words into a name.
    Joiner,
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        '\'' | '\u{2019}' => Kind::Apostrophe,
        '-' | '.' | '_' => Kind::Joiner,
        '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Kind::Han,
        '々' | '〆' | 'ー' => Kind::Dense,
        // Hiragana, Katakana, Bopomofo, Hangul; Thai, Lao, Myanmar, Khmer with their vowel signs.
        '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{3105}'..='\u{312f}'
        | '\u{1100}'..='\u{11ff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{0e01}'..='\u{0e4e}'
        | '\u{0e81}'..='\u{0ecd}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17d3}' => Kind::Dense,
        // Combining marks belong to the letter before them.
        '\u{0300}'..='\u{036f}' => Kind::Letter,
        c if c.is_alphanumeric() => Kind::Letter,
        _ => Kind::Other,
    }
}

fn scan(text: &str, mut emit: impl FnMut(Term)) {
    let mut words = Words::default();
    let mut dense: Vec<char> = Vec::new();
    // White space since the last character of a dense run, and the line ends in it.
    let (mut space, mut line_ends) = (false, 0);
    for c in text.nfkc().flat_map(char::to_lowercase) {
        let kind = kind(c);
        if !dense.is_empty() && c.is_whitespace() {
            space = true;
            line_ends += usize::from(c == '\n');
            continue;
        }
        // A word may go on in the next line, but not after a space or in the next paragraph.
        let goes_on = matches!(kind, Kind::Han | Kind::Dense) && (!space || line_ends == 1);
        if !goes_on {
            pairs(&mut dense, &mut emit);
        }
        (space, line_ends) = (false, 0);
        match kind {
            Kind::Letter => words.letter(c),
            Kind::Apostrophe => words.apostrophe(),
            Kind::Joiner => words.joiner(),
            Kind::Other => words.end(&mut emit),
            Kind::Han | Kind::Dense => {
                words.end(&mut emit);
                dense.push(c);
            }
        }
        // A text without any break is cut, so that memory stays bounded; the pair across the cut is kept.
        if dense.len() > 4096 {
            pairs(&mut dense, &mut emit);
            dense.push(c);
        }
    }
    pairs(&mut dense, &mut emit);
    words.end(&mut emit);
}

/// Words that are being read, joined so far by punctuation.
#[derive(Default)]
struct Words {
    parts: Vec<String>,
    /// The next letter begins a new part.
    joint: bool,
    /// What follows is a possessive or a contraction and is dropped.
    tail: bool,
}

impl Words {
    fn letter(&mut self, c: char) {
        if self.joint || self.parts.is_empty() {
            self.parts.push(String::new());
            (self.joint, self.tail) = (false, false);
        }
        if let Some(part) = self.parts.last_mut()
            && !self.tail
        {
            part.push(c);
        }
    }

    fn apostrophe(&mut self) {
        self.tail = true;
    }

    fn joiner(&mut self) {
        self.joint = !self.parts.is_empty();
    }

    fn end(&mut self, emit: &mut impl FnMut(Term)) {
        let parts = std::mem::take(&mut self.parts);
        (self.joint, self.tail) = (false, false);
        let name = (2..=JOINED_MAX).contains(&parts.len()).then(|| cut(parts.concat()));
        for part in parts {
            let empty = EMPTY.contains(&part.as_str());
            emit(Term::word(stem(cut(part)), empty));
        }
        if let Some(name) = name {
            emit(Term::word(name, false));
        }
    }
}

fn cut(word: String) -> String {
    if word.len() <= TERM_MAX { word } else { word.chars().take(TERM_MAX).collect() }
}

/// Overlapping pairs of a run, and lone Han characters. Empties the run.
fn pairs(run: &mut Vec<char>, emit: &mut impl FnMut(Term)) {
    let han = |c: Option<&char>| c.is_some_and(|c| kind(*c) == Kind::Han);
    if let [only] = run.as_slice() {
        emit(Term::word(only.to_string(), kind(*only) != Kind::Han));
    }
    for (n, pair) in run.windows(2).enumerate() {
        // A particle and the beginning of the next word belong to no word together; a Han character and what
        // follows it may.
        let empty = pair.first().is_some_and(|c| is_hiragana(*c))
            || pair.iter().any(|c| is_hiragana(*c)) && !han(pair.first());
        emit(Term { text: pair.iter().collect(), empty, follows: n > 0 });
        // Each character is looked at once as the first of its pair, the last one as the second.
        let before = n.checked_sub(1).and_then(|n| run.get(n));
        if han(pair.first()) && !han(pair.get(1)) && !han(before) {
            emit(Term::word(pair.iter().take(1).collect(), false));
        }
        if n + 2 == run.len() && han(pair.get(1)) && !han(pair.first()) {
            emit(Term::word(pair.iter().skip(1).collect(), false));
        }
    }
    run.clear();
}

/// Folds the common English endings: plural, -ed, -ing, -ation, final e. Words of other languages and short
/// words pass nearly unchanged. It need not give words, only the same term for the forms of one.
fn stem(word: String) -> String {
    if word.len() < 4 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word;
    }
    let word = singular(&word);
    let mut stem = ["ations", "ation", "ing", "ed"]
        .iter()
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|rest| rest.len() >= 3 && rest.bytes().any(|b| b"aeiouy".contains(&b)))
        .unwrap_or(&word)
        .to_owned();
    let doubled = |s: &str| {
        let mut tail = s.bytes().rev();
        matches!((tail.next(), tail.next()), (Some(a), Some(b)) if a == b && !b"aeioulsz".contains(&a))
    };
    if stem.len() < word.len() && doubled(&stem) {
        stem.pop();
    }
    if stem.len() > 3 && stem.ends_with('e') {
        stem.pop();
    }
    stem
}

fn singular(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("ies")
        && rest.len() > 1
    {
        return format!("{rest}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(rest) if !rest.ends_with(['s', 'u', 'i']) => rest.to_owned(),
        _ => word.to_owned(),
    }
}

/// English words that a question is made of and that do not say what it is about.
const EMPTY: &[&str] = &[
    "a", "about", "all", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "could", "did", "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is",
    "it", "its", "may", "me", "my", "of", "on", "one", "or", "our", "shall", "should", "so", "some", "such",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "us",
    "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with",
    "would", "you", "your",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        terms(text).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_forms_of_an_english_word_are_one_term() {
        for forms in [
            &["package", "packages", "packaged", "packaging"][..],
            &["install", "installs", "installed", "installing", "installation", "installations"],
            &["configure", "configured", "configuring", "configuration"],
            &["library", "libraries"],
            &["patch", "patches", "patched"],
            &["stop", "stops", "stopped", "stopping"],
            &["process", "processes", "processed", "process's"],
        ] {
            let stems: Vec<_> = forms.iter().map(|form| list(form)).collect();
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
        }
        assert_ne!(list("station"), list("state"));
        assert_eq!(list("bus ssh this status"), ["bus", "ssh", "this", "status"]);
    }

    #[test]
    fn case_width_and_ligatures_do_not_matter() {
        assert_eq!(list("ＡＰＴ ﬁle Ⅳ"), ["apt", "fil", "iv"]);
        assert_eq!(list("ﾊﾟｯｹｰｼﾞ"), list("パッケージ"));
        assert_eq!(list("Größe"), ["größe"]);
    }

    #[test]
    fn names_with_punctuation_are_words_and_one_term() {
        assert_eq!(list("apt-get"), ["apt", "get", "aptget"]);
        assert_eq!(list("/etc/apt/sources.list."), ["etc", "apt", "sourc", "list", "sourceslist"]);
        assert_eq!(list("don't user's"), ["don", "user"]);
        assert_eq!(list("-- ... __"), Vec::<String>::new());
    }

    #[test]
    fn japanese_gives_pairs_and_lone_han_characters() {
        assert_eq!(list("設定"), ["設定"]);
        assert_eq!(list("鍵"), ["鍵"]);
        assert_eq!(list("鍵は"), ["鍵は", "鍵"]);
        assert_eq!(list("の鍵"), ["の鍵", "鍵"]);
        assert_eq!(list("設定する"), ["設定", "定す", "する"]);
        assert_eq!(list("Debianの設定"), ["debian", "の設", "設定"]);
        assert_eq!(list("設定。鍵"), ["設定", "鍵"]);
    }

    #[test]
    fn a_question_keeps_what_it_is_about() {
        assert_eq!(query_terms("How do I install the package, the package?"), ["install", "packag"]);
        assert_eq!(query_terms("to be or not to be"), ["not"]);
        assert_eq!(query_terms("How do I?"), ["how", "do", "i"]);
        assert_eq!(query_terms("鍵はどこにありますか"), ["鍵は", "鍵"]);
        assert_eq!(query_terms("\" OR * NEAR(^"), ["near"]);
        assert!(query_terms(" \u{0} ?!").is_empty());
    }

    #[test]
    fn a_question_asks_for_a_katakana_word_as_a_whole() {
        assert_eq!(query_terms("パッケージのバージョン"), ["パッ ッケ ケー ージ", "バー ージ ジョ ョン"]);
        assert_eq!(query_terms("サーバー"), ["サー ーバ"]);
        assert_eq!(query_terms("キー"), ["キー"]);
        assert_eq!(query_terms("ログ、グラフ"), ["ログ", "グラ ラフ"]);
    }

    #[test]
    fn particles_do_not_tell_what_a_question_is_about() {
        assert_eq!(query_terms("ログの保存先"), ["ログ", "保存", "存先"]);
        assert_eq!(query_terms("打ち切る"), ["打ち", "打", "切る", "切"]);
    }

    #[test]
    fn a_word_goes_on_in_the_next_line_but_not_in_the_next_paragraph() {
        assert_eq!(list("フィー\n    ルド"), list("フィールド"));
        assert_eq!(list("鍵 穴"), ["鍵", "穴"]);
        assert_eq!(list("鍵\n\n穴"), ["鍵", "穴"]);
        assert_eq!(list("鍵\nkey"), ["鍵", "key"]);
    }

    #[test]
    fn a_question_is_bounded() {
        let long: String = (0..10_000).map(|n| format!("word{n} ")).collect();
        assert_eq!(query_terms(&long).len(), QUERY_MAX);
        assert_eq!(list(&"x".repeat(100_000))[0].len(), TERM_MAX);
        assert_eq!(list(&"あ".repeat(10_000)).len(), 9_999);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_terms_without_white_space_or_ascii_punctuation(text in "\\PC{0,80}") {
            for term in query_terms(&text) {
                proptest::prop_assert!(!term.is_empty());
                proptest::prop_assert!(term.chars().all(|c| c == ' ' || !c.is_whitespace() && !c.is_ascii_punctuation()));
            }
        }

        #[test]
        fn a_text_finds_itself(text in "\\PC{0,80}|[アィー鍵の\n a]{0,20}") {
            let stored = format!(" {}", terms(&text));
            for term in query_terms(&text) {
                let found = stored.contains(&[" ", &term, " "].concat());
                proptest::prop_assert!(found, "{} in {}", term, stored);
            }
        }
    }
}
