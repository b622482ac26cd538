//! Lines to Markdown: headings by size, paragraphs by distance, words divided at a line's end made whole,
//! running headers, footers and page numbers left out.

use std::collections::HashMap;

use super::layout::Line;
use crate::extract::tidy::{is_cjk, tidy, without_headings};

/// A line is a heading from this multiple of the body size on, and of a higher level from the next ones on.
const HEADINGS: [(f64, usize); 3] = [(1.7, 1), (1.35, 2), (1.12, 3)];
/// Longest heading, in characters.
const HEADING_MAX: usize = 160;
/// Line distance that starts a paragraph, as a multiple of the usual distance.
const PARAGRAPH: f64 = 1.25;
/// A line is full, so that its text goes on in the next one, when it ends within this part of the page's text
/// width from the right.
const FULL: f64 = 0.12;
/// Share of the pages on which a first or last line must stand to be a running header or footer.
const RUNNING_SHARE: usize = 3;

/// The document and the byte offset at which each page starts.
pub fn compose(mut pages: Vec<Vec<Line>>) -> (String, Vec<usize>) {
    drop_running_lines(&mut pages);
    let body = body_size(&pages);
    let usual = usual_distance(&pages);
    let mut markdown = String::new();
    let mut offsets = Vec::with_capacity(pages.len());
    for lines in &pages {
        let text = tidy(&page(lines, body, usual));
        if !text.is_empty() && !markdown.is_empty() {
            markdown.push_str("\n\n");
        }
        offsets.push(markdown.len());
        markdown.push_str(&text);
    }
    (markdown, offsets)
}

fn page(lines: &[Line], body: f64, usual: f64) -> String {
    let left = lines.iter().map(|l| l.start.x).fold(f64::INFINITY, f64::min);
    let right = lines.iter().map(|l| l.end.x).fold(f64::NEG_INFINITY, f64::max);
    let full_from = right - (right - left) * FULL;
    let mut out = String::new();
    let mut last: Option<(&Line, usize)> = None;
    for line in lines {
        let level = heading_level(line, body);
        match last {
            None => open(&mut out, level),
            Some((before, before_level)) => {
                let distance = before.start.y - line.start.y;
                let far = !(distance > 0.0 && distance < PARAGRAPH * usual * before.em.max(line.em));
                if level != before_level || far {
                    out.push_str("\n\n");
                    open(&mut out, level);
                } else if level > 0 || before.end.x >= full_from && !has_leader(&before.text) {
                    join(&mut out, &line.text);
                } else {
                    out.push('\n');
                }
            }
        }
        push_line(&mut out, &line.text);
        last = Some((line, level));
    }
    out
}

fn open(out: &mut String, level: usize) {
    if level > 0 {
        out.push_str(&"#".repeat(level));
        out.push(' ');
    }
}

/// Rows of dots that lead the eye in a table of contents say nothing.
fn push_line(out: &mut String, text: &str) {
    if !has_leader(text) {
        // Only at the start of a line, since behind a heading's signs another sign is part of the heading.
        let opens = out.is_empty() || out.ends_with('\n');
        return out.push_str(&if opens { without_headings(text) } else { text.into() });
    }
    let words = text.split([' ', '\t']).map(|word| word.trim_end_matches("..").trim_start_matches(".."));
    let words: Vec<&str> = words.filter(|word| !word.is_empty() && *word != ".").collect();
    out.push_str(&words.join(" "));
}

fn has_leader(text: &str) -> bool {
    text.contains(". . .") || text.contains("....")
}

/// Makes ready for the next line of the same paragraph: a divided word loses its hyphen, CJK text runs on.
fn join(out: &mut String, next: &str) {
    let first = next.chars().next().unwrap_or(' ');
    let mut end = out.chars().rev();
    let (last, before) = (end.next().unwrap_or(' '), end.next().unwrap_or(' '));
    if matches!(last, '-' | '\u{2010}' | '\u{ad}') && before.is_alphabetic() && first.is_lowercase() {
        out.pop();
    } else if !(is_cjk(last) && is_cjk(first)) {
        out.push(' ');
    }
}

fn heading_level(line: &Line, body: f64) -> usize {
    let fits = line.text.chars().count() <= HEADING_MAX && line.text.chars().any(char::is_alphabetic);
    HEADINGS.iter().find(|(ratio, _)| fits && line.em >= ratio * body).map_or(0, |(_, level)| *level)
}

/// The size that most characters have.
fn body_size(pages: &[Vec<Line>]) -> f64 {
    let mut characters: HashMap<i64, usize> = HashMap::new();
    for line in pages.iter().flatten() {
        *characters.entry(tenths(line.em)).or_default() += line.text.chars().count();
    }
    let most = characters.into_iter().max_by_key(|(size, count)| (*count, *size));
    most.map_or(10.0, |(size, _)| size as f64 / 10.0)
}

/// The median distance from line to line, in em.
fn usual_distance(pages: &[Vec<Line>]) -> f64 {
    let mut distances: Vec<f64> = pages
        .iter()
        .flat_map(|lines| lines.windows(2))
        .filter_map(|pair| match pair {
            [a, b] => Some((a.start.y - b.start.y) / a.em.max(b.em)),
            _ => None,
        })
        .filter(|d| *d > 0.5 && *d < 3.0)
        .collect();
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(1.2)
}

/// Leaves out the top and bottom lines that stand at the same height and read the same, numbers aside, on a
/// third of the pages.
fn drop_running_lines(pages: &mut [Vec<Line>]) {
    let mut seen: HashMap<(i64, String), usize> = HashMap::new();
    for line in pages.iter().flat_map(|lines| edges(lines)).filter_map(|(lines, at)| lines.get(at)) {
        *seen.entry(running_key(line)).or_default() += 1;
    }
    let enough = (pages.len() / RUNNING_SHARE).max(3);
    for lines in pages {
        let mut drop: Vec<usize> = edges(lines)
            .map(|(_, at)| at)
            .filter(|at| {
                lines.get(*at).is_some_and(|l| seen.get(&running_key(l)).is_some_and(|n| *n >= enough))
            })
            .collect();
        drop.sort_unstable();
        for at in drop.into_iter().rev() {
            lines.remove(at);
        }
    }
}

/// The places of all lines at the height of the top line and of the bottom line.
fn edges(lines: &[Line]) -> impl Iterator<Item = (&[Line], usize)> {
    let heights = || lines.iter().map(|l| l.start.y);
    let (top, bottom) =
        (heights().fold(f64::NEG_INFINITY, f64::max), heights().fold(f64::INFINITY, f64::min));
    lines
        .iter()
        .enumerate()
        .filter(move |(_, l)| (top - l.start.y).abs() < l.em || (l.start.y - bottom).abs() < l.em)
        .map(move |(at, _)| (lines, at))
}

/// Place and text with all numbers alike; the front matter counts its pages in Roman ones.
fn running_key(line: &Line) -> (i64, String) {
    let words = line.text.split(' ').map(|word| {
        let number = word.chars().all(|c| c.is_ascii_digit()) || word.chars().all(|c| "ivxlc".contains(c));
        if number { "#" } else { word }
    });
    (line.start.y.round() as i64, words.collect::<Vec<_>>().join(" "))
}

fn tenths(size: f64) -> i64 {
    (size * 10.0).round() as i64
}
