//! Glyphs to lines: where a line ends and where a space belongs follows from the places of the glyphs, along
//! and across the direction of writing, so that vertical and rotated text need no rules of their own.
//!
//! It never reorders: producers write a page in reading order far more often than geometry can guess it.

use hayro_font::kurbo::{Point, Vec2};

use super::content::Glyph;
use crate::extract::tidy::is_cjk;

/// Gap between glyphs that reads as a space, in em.
const SPACE: f64 = 0.15;
/// The same between two CJK characters, which stand apart when a line is justified.
const SPACE_CJK: f64 = 1.0;
/// Distance across the line from which on a glyph stands on another line, in em. Superscripts stay below.
const ANOTHER_LINE: f64 = 0.5;
/// Step back along the line from which on a glyph starts a new one, in em.
const STEP_BACK: f64 = 1.0;
/// Two equal glyphs this close are one that was drawn twice to look bold, in em.
const SAME_PLACE: f64 = 0.1;

/// Characters on one baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub text: String,
    pub start: Point,
    pub end: Point,
    /// The em that most characters have.
    pub em: f64,
}

/// The lines of a page in the order in which they are shown, without empty ones.
pub fn lines(glyphs: &[Glyph]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Vec<&Glyph> = Vec::new();
    let mut text = String::new();
    for glyph in glyphs {
        match open.last().map(|last| step(last, glyph)) {
            Some(Step::Repeat) => continue,
            Some(Step::Line) => {
                lines.extend(close(&open, &text));
                open.clear();
                text.clear();
            }
            Some(Step::Space) => text.push(' '),
            Some(Step::Next) | None => {}
        }
        text.push_str(&glyph.text);
        open.push(glyph);
    }
    lines.extend(close(&open, &text));
    lines
}

enum Step {
    Next,
    Space,
    Line,
    Repeat,
}

fn step(last: &Glyph, next: &Glyph) -> Step {
    let em = last.em.max(next.em).max(f64::MIN_POSITIVE);
    let direction = direction(last).or_else(|| direction(next)).unwrap_or(Vec2::new(1.0, 0.0));
    if last.text == next.text && (next.start - last.start).hypot() < SAME_PLACE * em {
        return Step::Repeat;
    }
    let gap = next.start - last.end;
    let along = gap.dot(direction) / em;
    let across = gap.cross(direction).abs() / em;
    let cjk =
        last.text.chars().next_back().is_some_and(is_cjk) && next.text.chars().next().is_some_and(is_cjk);
    // Written so that a place that is no number (a damaged matrix) starts a new line.
    if !(across < ANOTHER_LINE && along > -STEP_BACK) {
        Step::Line
    } else if along > if cjk { SPACE_CJK } else { SPACE } {
        Step::Space
    } else {
        Step::Next
    }
}

fn direction(glyph: &Glyph) -> Option<Vec2> {
    let along = glyph.end - glyph.start;
    (along.hypot() > 1e-6).then(|| along.normalize())
}

fn close(glyphs: &[&Glyph], text: &str) -> Option<Line> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (first, last) = (glyphs.first()?, glyphs.last()?);
    if text.is_empty() {
        return None;
    }
    let mut sizes: Vec<f64> = glyphs.iter().map(|g| g.em).collect();
    sizes.sort_by(f64::total_cmp);
    let em = sizes.get(sizes.len() / 2).copied().unwrap_or(first.em);
    Some(Line { text, start: first.start, end: last.end, em })
}
