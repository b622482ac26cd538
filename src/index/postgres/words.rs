//! Terms as PostgreSQL's full text search takes them, without its parser: theirs would not be ours. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::index::tokens;

/// Most terms of a passage; those beyond are not found. The server takes a megabyte, and counts places up to 16,383.
const TERMS_MAX: usize = 16_000;
/// Places left free between title, heading and text, so that no sequence runs across.
const GAP: usize = 2;

/// A passage as `tsvector`s: of title and heading, and of everything. And how many terms it has.
pub fn vectors(tenant: &str, title: &str, heading: &str, body: &str) -> (String, String, i64) {
    let mut text = format!("{}:1C", quoted(&tenant_lexeme(tenant)));
    let (mut head, mut place, mut count) = (text.clone(), 1, 0);
    for (terms, weight) in [(title, 'A'), (heading, 'B'), (body, 'D')] {
        if weight == 'D' {
            head.clone_from(&text);
        }
        place += GAP;
        for term in terms.split(' ').filter(|term| !term.is_empty()) {
            if count == TERMS_MAX {
                break;
            }
            // Writing to a string does not fail.
            let _ = write!(text, " {}:{place}{weight}", quoted(term));
            (place, count) = (place + 1, count + 1);
        }
    }
    (head, text, count as i64)
}

/// A question as one `tsquery` for each of its terms, a sequence being one term.
pub fn questions(text: &str) -> Vec<String> {
    let sequence = |term: &String| term.split(' ').map(quoted).collect::<Vec<_>>().join(" <-> ");
    tokens::query_terms(text).iter().map(sequence).collect()
}

/// A question about this tenant's passages.
pub fn of_tenant(tenant: &str, question: &str) -> String {
    format!("{} & ({question})", quoted(&tenant_lexeme(tenant)))
}

/// No term of a text has a colon in it.
fn tenant_lexeme(tenant: &str) -> String {
    format!("t:{tenant}")
}

fn quoted(term: &str) -> String {
    format!("'{}'", term.replace('\\', "\\\\").replace('\'', "''"))
}

/// Text as the server takes it: it knows no NUL.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_heading_and_text_are_told_apart_and_do_not_touch() {
        let (head, vector, terms) = vectors("x", "a", "b ", "c d");
        assert_eq!(head, "'t:x':1C 'a':3A 'b':6B");
        assert_eq!(vector, "'t:x':1C 'a':3A 'b':6B 'c':9D 'd':10D");
        assert_eq!(terms, 4);
    }

    #[test]
    fn nothing_in_a_term_is_syntax() {
        assert_eq!(quoted("it's \\ & | !"), "'it''s \\\\ & | !'");
        assert_eq!(of_tenant("x", "'b' <-> 'c'"), "'t:x' & ('b' <-> 'c')");
    }

    #[test]
    fn a_passage_is_cut_at_what_the_server_takes() {
        let (_, _, terms) = vectors("x", "", "", &"w ".repeat(TERMS_MAX + 100));
        assert_eq!(terms, TERMS_MAX as i64);
    }
}
