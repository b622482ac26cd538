//! Keeps the key and the request's text out of error messages. Providers quote both, and an error message
//! travels into logs, headers and dead letters that more people may read than the record itself. Pure.

use crate::flow::fault::one_line;

/// A stretch of the request this long, in bytes, is a quotation; shorter ones are ordinary words.
const QUOTATION_MIN: usize = 24;
/// A text shorter than [`QUOTATION_MIN`] is looked for as a whole, down to this many bytes.
const TEXT_MIN: usize = 8;

/// Fewer characters of a key than these give nothing away.
const KEY_PART_MIN: usize = 4;

/// The message with `key` replaced, and cut where it begins to quote one of `texts`.
pub fn withhold(message: &str, key: Option<&str>, texts: &[&str]) -> String {
    let mut message = one_line(message, usize::MAX);
    if let Some(key) = key.filter(|k| !k.is_empty()) {
        message = hide_key(&message.replace(key, "[key]"), key);
    }
    let texts: Vec<String> = texts.iter().map(|text| one_line(text, usize::MAX)).collect();
    match message.char_indices().map(|(at, _)| at).find(|at| quotes(&message, *at, &texts)) {
        Some(at) => {
            message.truncate(at);
            message + "[request text withheld]"
        }
        None => message,
    }
}

/// Replaces the beginning of the key where the quotation was cut in the middle of it.
fn hide_key(message: &str, key: &str) -> String {
    let beginnings = key.char_indices().map(|(end, _)| end).rev().filter(|end| *end >= KEY_PART_MIN);
    let mut cut = beginnings.filter_map(|end| key.get(..end)).map(|part| format!("{part}…"));
    cut.find(|part| message.contains(part))
        .map_or_else(|| message.to_owned(), |part| message.replace(&part, "[key]…"))
}

/// True when what stands at `at` stands in one of the texts.
fn quotes(message: &str, at: usize, texts: &[String]) -> bool {
    let tail = message.get(at..).unwrap_or_default();
    let window = prefix(tail, QUOTATION_MIN);
    texts.iter().any(|text| match text.len() {
        0..TEXT_MIN => false,
        TEXT_MIN..QUOTATION_MIN => tail.starts_with(text.as_str()),
        _ => window.len() >= QUOTATION_MIN && text.contains(window),
    })
}

/// The first `bytes` bytes, rounded up to a whole character; shorter only where the text ends.
fn prefix(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_never_stays() {
        let message = withhold("incorrect API key provided: sk-live-123.", Some("sk-live-123"), &[]);
        assert_eq!(message, "incorrect API key provided: [key].");
    }

    #[test]
    fn a_key_that_was_cut_in_the_middle_does_not_stay_either() {
        let message = withhold("wrong key sk-live-1…, its request id 7", Some("sk-live-123"), &[]);
        assert_eq!(message, "wrong key [key]…, its request id 7");
    }

    #[test]
    fn a_quoted_prompt_is_cut_off() {
        let prompt = "Patient Tanaka,\nborn 1970, complains of pain in the left knee.";
        let message =
            "invalid prompt: 'Patient Tanaka, born 1970, complains of pain in the left knee.' rejected";
        assert_eq!(withhold(message, None, &[prompt]), "invalid prompt: '[request text withheld]");
    }

    #[test]
    fn a_part_of_a_prompt_is_a_quotation_too() {
        let prompt = "患者の田中さんは左の膝の痛みを訴えています。";
        let message = "bad input near 田中さんは左の膝の痛みを";
        assert_eq!(withhold(message, None, &[prompt]), "bad input near [request text withheld]");
    }

    #[test]
    fn a_short_text_is_withheld_as_a_whole() {
        assert_eq!(
            withhold("cannot embed Tanaka K.", None, &["Tanaka K."]),
            "cannot embed [request text withheld]"
        );
    }

    #[test]
    fn ordinary_words_that_both_use_stay() {
        let message = "this model's maximum context length is 4096 tokens";
        assert_eq!(withhold(message, None, &["what is the context length", "is"]), message);
    }
}
