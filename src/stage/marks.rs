//! Citation marks in text: `[1]`, `[1][2]`, `[1, 2]` and their full-width forms `［１］`. Pure.

/// One bracket with numbers in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Byte range of the bracket in the text.
    pub start: usize,
    pub end: usize,
    /// The numbers in it, as written; never empty.
    pub numbers: Vec<u32>,
}

/// Longest bracket looked into, characters: a dozen numbers.
const MARK_MAX: usize = 64;

/// The marks in the order of the text. A bracket with anything but small numbers in it is no mark.
pub fn find(text: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut from = 0;
    while let Some((start, rest)) = next_bracket(text, from) {
        match mark_at(start, rest) {
            Some(mark) => {
                from = mark.end;
                marks.push(mark);
            }
            None => from = start + rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    marks
}

/// The next opening bracket: where it stands, and the text from it on.
fn next_bracket(text: &str, from: usize) -> Option<(usize, &str)> {
    let start = from + text.get(from..)?.find(['[', '［', '【'])?;
    Some((start, text.get(start..)?))
}

/// Reads the bracket with which `rest` begins; `start` is where that is.
fn mark_at(start: usize, rest: &str) -> Option<Mark> {
    let mut chars = rest.char_indices().take(MARK_MAX);
    let (open, close) = match chars.next()?.1 {
        '[' => ('[', ']'),
        '［' => ('［', '］'),
        _ => ('【', '】'),
    };
    let (end, _) = chars.find(|(_, c)| *c == close)?;
    let numbers = rest
        .get(open.len_utf8()..end)?
        .split([',', '、', '，', ';'])
        .map(|part| number(part.trim()))
        .collect::<Option<Vec<u32>>>()?;
    Some(Mark { start, end: start + end + close.len_utf8(), numbers })
}

/// One to three digits, ASCII or full-width; longer numbers are years and the like.
fn number(text: &str) -> Option<u32> {
    let digits: Vec<u32> = text.trim_start_matches('^').chars().map(digit).collect::<Option<_>>()?;
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + digit))
}

fn digit(c: char) -> Option<u32> {
    match c {
        '０'..='９' => Some(c as u32 - '０' as u32),
        _ => c.to_digit(10),
    }
}

/// The text with every mark's numbers passed through `keep`: a mark that keeps none goes, and the space
/// before it with it; one that keeps some is written as `[1][2]`.
pub fn rewrite(text: &str, keep: impl Fn(u32) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for mark in find(text) {
        out.push_str(text.get(from..mark.start).unwrap_or_default());
        from = mark.end;
        let kept: Vec<u32> = mark.numbers.into_iter().filter(|n| keep(*n)).collect();
        if kept.is_empty() {
            out.truncate(out.trim_end_matches([' ', '\u{3000}']).len());
        }
        for number in kept {
            out.push_str(&format!("[{number}]"));
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<Vec<u32>> {
        find(text).into_iter().map(|mark| mark.numbers).collect()
    }

    #[test]
    fn every_usual_form_of_a_mark_is_read() {
        assert_eq!(numbers("a [1]. b [2][10] c [1, 3]"), [vec![1], vec![2], vec![10], vec![1, 3]]);
        assert_eq!(numbers("東京です［１］。川［２、３］【4】"), [vec![1], vec![2, 3], vec![4]]);
        assert_eq!(numbers("note [^7]"), [vec![7]]);
    }

    #[test]
    fn other_brackets_are_text() {
        for text in ["[a]", "[]", "[ ]", "[2024]", "[1", "1]", "[1-3]", "[x][y]", "[-1]", "[1,]"] {
            assert!(find(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_bracket_that_never_closes_hides_no_mark() {
        assert_eq!(numbers("[[[[ [1"), Vec::<Vec<u32>>::new());
        assert_eq!(numbers("[see [2]"), [vec![2]]);
    }

    #[test]
    fn rewriting_keeps_the_wanted_numbers_and_the_rest_of_the_text() {
        let text = "One [1]. Two [9]. Three [1, 9][2] 四［３］。";
        assert_eq!(rewrite(text, |n| n <= 3), "One [1]. Two. Three [1][2] 四[3]。");
        assert_eq!(rewrite("no marks", |_| false), "no marks");
    }
}
