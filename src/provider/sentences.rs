//! Splits a passage into the sentences that can be quoted. Pure.

/// Longest sentence that is quoted, in characters; a longer one is cut.
const SENTENCE_MAX: usize = 400;

/// What stands before an item of a list, or the first cell of a row.
const ITEM_SIGNS: [char; 8] = ['-', '*', '+', '|', '•', '–', '・', '※'];

/// The sentences of a text, without headings, list signs and citation marks, each on one line.
pub fn split(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for paragraph in paragraphs(text) {
        let mut start = 0;
        let mut characters = paragraph.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let after = characters.peek().map(|(_, next)| *next);
            let ends = match c {
                '。' | '！' | '？' => !matches!(after, Some('」' | '』' | '）')),
                '.' | '!' | '?' => after.is_none_or(char::is_whitespace),
                _ => false,
            };
            if ends {
                let end = at + c.len_utf8();
                keep(paragraph.get(start..end), &mut sentences);
                start = end;
            }
        }
        keep(paragraph.get(start..), &mut sentences);
    }
    sentences
}

/// Lines that belong together, joined. Headings are dropped; list items and table rows stand alone.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim) {
        let item = line.strip_prefix(ITEM_SIGNS).map(str::trim_start);
        if line.is_empty() || line.starts_with('#') || line.starts_with("```") {
            open = false;
        } else if let (true, None, Some(last)) = (open, item, paragraphs.last_mut()) {
            // Japanese lines are joined without a space.
            if last.ends_with(|c: char| c.is_ascii()) || line.starts_with(|c: char| c.is_ascii()) {
                last.push(' ');
            }
            last.push_str(line);
        } else {
            paragraphs.push(item.unwrap_or(line).to_owned());
            open = true;
        }
    }
    paragraphs
}

fn keep(sentence: Option<&str>, sentences: &mut Vec<String>) {
    let sentence = without_marks(sentence.unwrap_or_default().trim());
    if sentence.chars().filter(|c| c.is_alphanumeric()).count() > 1 {
        sentences.push(sentence.chars().take(SENTENCE_MAX).collect());
    }
}

/// Takes `[12]` out: in an answer it would cite a passage that nobody showed.
fn without_marks(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        clean.push_str(before);
        let digits = from.get(1..).unwrap_or_default();
        let close = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if close > 0 && digits.get(close..).is_some_and(|tail| tail.starts_with(']')) {
            rest = digits.get(close + 1..).unwrap_or_default();
        } else {
            clean.push('[');
            rest = digits;
        }
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_split_at_full_stops_before_a_space() {
        let text = "Version 1.5 is out. Is it safe?\nYes! It is\nsafe";
        assert_eq!(split(text), ["Version 1.5 is out.", "Is it safe?", "Yes!", "It is safe"]);
    }

    #[test]
    fn japanese_is_split_at_its_own_stops() {
        let text = "船が来た。「待て。」と言った。本当？\nはい";
        assert_eq!(split(text), ["船が来た。", "「待て。」と言った。", "本当？", "はい"]);
    }

    #[test]
    fn headings_go_and_items_stand_alone() {
        let text = "# Tides\nHigh water is at noon.\n- spring tide\n- neap tide\n\n---\n| a | b |";
        assert_eq!(split(text), ["High water is at noon.", "spring tide", "neap tide", "a | b |"]);
    }

    #[test]
    fn items_with_the_signs_of_typesetters_stand_alone_too() {
        assert_eq!(split("• 表示する\n• 作る\n– drop it"), ["表示する", "作る", "drop it"]);
    }

    #[test]
    fn marks_of_the_source_do_not_become_citations() {
        assert_eq!(split("As shown [12], a[i] is [x] and [3."), ["As shown , a[i] is [x] and [3."]);
    }

    #[test]
    fn a_sentence_without_end_is_cut() {
        assert_eq!(split(&"あ".repeat(5_000)), ["あ".repeat(SENTENCE_MAX)]);
    }
}
