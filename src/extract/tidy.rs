//! The last step of every format: Unicode NFC, one kind of newline, no control or invisible characters.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::flow::fault::one_line;

/// Longest title, bytes.
const TITLE_MAX: usize = 300;

/// Text as the rest of the pipeline expects it. Idempotent.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = 0;
    for line in visible(text).nfc().collect::<String>().split('\n') {
        let line = line.trim_end();
        if line.is_empty() {
            blank += 1;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if blank > 0 { "\n\n" } else { "\n" });
        }
        blank = 0;
        out.push_str(line);
    }
    out
}

/// A title as one bounded line: it stands in lists, in citations and between tabs.
pub fn tidy_title(title: &str) -> String {
    one_line(&tidy(title), TITLE_MAX)
}

/// Maps line ends to `\n` and other white space to a space, and drops what cannot be seen: control
/// characters, byte order marks, zero-width spaces and soft hyphens.
fn visible(text: &str) -> impl Iterator<Item = char> {
    let mut after_return = false;
    text.chars().filter_map(move |c| {
        let completes_line_end = after_return && c == '\n';
        after_return = c == '\r';
        match c {
            '\n' if completes_line_end => None,
            '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
            '\t' => Some('\t'),
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => Some(' '),
            '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{feff}' => None,
            c if c.is_control() => None,
            c => Some(c),
        }
    })
}

/// Text that is no Markdown as Markdown: a line with a `#` in front, such as a comment of a shell script, is moved
/// in so far that it is no heading (CommonMark §4.2).
pub fn without_headings(text: &str) -> Cow<'_, str> {
    let is_heading = |line: &str| line.trim_start_matches(' ').starts_with('#');
    if !text.lines().any(is_heading) {
        return Cow::Borrowed(text);
    }
    let indented = |line| if is_heading(line) { ["    ", line].concat() } else { String::from(line) };
    Cow::Owned(text.split('\n').map(indented).collect::<Vec<_>>().join("\n"))
}

/// Characters of scripts that write no spaces between words: kana, Han, and the punctuation and full-width
/// forms used with them.
pub fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{30ff}' | '\u{31f0}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff9f}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_composed_and_stripped_of_what_cannot_be_seen() {
        assert_eq!(tidy("か\u{3099}\u{feff}\0x\u{200b}y\u{7}\u{a0}z"), "がxy z");
    }

    #[test]
    fn line_ends_are_one_kind_and_blank_lines_come_alone() {
        assert_eq!(tidy("\r\n\na \r\nb\rc\n\n\n\nd\u{c}e\n"), "a\nb\nc\n\nd\ne");
    }

    #[test]
    fn indentation_and_tabs_stay() {
        assert_eq!(tidy("if:\n\tgo\n  end"), "if:\n\tgo\n  end");
    }

    #[test]
    fn a_comment_in_a_plain_text_is_no_heading() {
        assert_eq!(without_headings("run\n# apt update\n  #x\n"), "run\n    # apt update\n      #x\n");
        assert_eq!(without_headings("C# and #1"), "C# and #1");
    }

    proptest::proptest! {
        #[test]
        fn tidying_twice_changes_nothing(text in "\\PC*|[\\x00-\\x20か\u{3099}\u{feff}a]*") {
            let once = tidy(&text);
            proptest::prop_assert_eq!(tidy(&once), once);
        }
    }
}
