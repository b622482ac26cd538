//! Markdown to passages: at headings, paragraphs, sentences and words, in this order of preference.
//!
//! The text is first cut into sections of bounded size, because the splitter looks ahead to the end of its
//! text for every passage: on a few megabytes without a break that would take minutes.

use std::ops::Range;

use text_splitter::{ChunkConfig, ChunkConfigError, MarkdownSplitter};

use super::outline::{Outline, heading_of};
use super::tokens::Tokens;
use crate::message::payload::Passage;

/// Largest section, bytes: some ten passages.
const SECTION_MAX: usize = 8 * 1024;
/// Longest white space within a section, bytes. The splitter walks through white space step by step.
const GAP_MAX: usize = 256;

/// Splits texts into passages.
pub struct Splitter {
    markdown: MarkdownSplitter<Tokens>,
    passages_max: usize,
}

/// The text has more than this many passages.
#[derive(Debug)]
pub struct TooMany(pub usize);

impl Splitter {
    /// Fails when the overlap is not smaller than a passage.
    pub fn new(tokens_max: usize, overlap: usize, passages_max: usize) -> Result<Self, ChunkConfigError> {
        let config = ChunkConfig::new(tokens_max).with_sizer(Tokens::new()).with_overlap(overlap)?;
        Ok(Self { markdown: MarkdownSplitter::new(config), passages_max })
    }

    /// The passages in the order of the text. Together they hold every character that is not white space.
    /// `pages` are the byte offsets at which the pages start.
    pub fn split(&self, text: &str, pages: &[usize]) -> Result<Vec<Passage>, TooMany> {
        let outline = Outline::of(text);
        let mut passages = Vec::new();
        for (at, passage) in self.pieces(text) {
            if passages.len() == self.passages_max {
                return Err(TooMany(self.passages_max));
            }
            passages.push(Passage {
                ordinal: u32::try_from(passages.len()).unwrap_or(u32::MAX),
                text: passage.to_owned(),
                heading: outline.path(at + body_offset(passage)),
                page: page_at(pages, at),
                embedding: None,
            });
        }
        Ok(passages)
    }

    /// The passages as pieces of the text, with the byte offset of each.
    pub fn pieces<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        sections(text).flat_map(move |section| {
            let start = section.start;
            let section = text.get(section).unwrap_or_default();
            self.markdown.chunk_indices(section).map(move |(offset, piece)| (start + offset, piece))
        })
    }
}

/// Where the first line stands that is neither a heading nor blank, so that a passage that opens with its
/// own heading counts as being below it.
fn body_offset(passage: &str) -> usize {
    let opening = passage
        .split_inclusive('\n')
        .take_while(|line| line.trim().is_empty() || heading_of(line).is_some())
        .map(str::len)
        .sum::<usize>();
    opening.min(passage.len().saturating_sub(1))
}

/// The 1-based page on which the byte at `offset` stands.
fn page_at(pages: &[usize], offset: usize) -> Option<u32> {
    if pages.is_empty() {
        return None;
    }
    u32::try_from(pages.partition_point(|start| *start <= offset).max(1)).ok()
}

/// Cuts the text into ranges of at most [`SECTION_MAX`] bytes, at the best break in the second half of each.
/// White space between two sections belongs to neither.
fn sections(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..)?;
        let body = rest.trim_start();
        let blank = rest.len() - body.len();
        // A first line keeps its indentation, for it may be code.
        let line = rest.get(..blank)?.rfind('\n').map_or(0, |at| at + 1);
        start += if blank - line > GAP_MAX { blank } else { line };
        let rest = text.get(start..).filter(|_| !body.is_empty())?;
        let section = start..start + section_end(rest);
        start = section.end;
        Some(section)
    })
}

fn section_end(text: &str) -> usize {
    let max = first_limit(text);
    if max == text.len() || max < SECTION_MAX / 2 {
        return max;
    }
    let mut min = max / 2;
    while !text.is_char_boundary(min) {
        min += 1;
    }
    let window = text.get(min..max).unwrap_or_default();
    let line = |pattern: &str| window.rfind(pattern).map(|at| min + at + 1);
    let after = |c: char| window.rfind(c).map(|at| min + at + c.len_utf8());
    line("\n# ")
        .or_else(|| line("\n## "))
        .or_else(|| line("\n### "))
        .or_else(|| line("\n\n"))
        .or_else(|| after('\n'))
        .or_else(|| after('。'))
        .or_else(|| after(' '))
        .unwrap_or(max)
}

/// How far a section can reach: to where a white space begins that no passage needs to span, to the limit, or
/// to the end of the text.
fn first_limit(text: &str) -> usize {
    let mut run = 0;
    for (at, c) in text.char_indices() {
        run = if c.is_whitespace() { run + c.len_utf8() } else { 0 };
        let next = at + c.len_utf8();
        if run > GAP_MAX {
            return next - run;
        }
        if next > SECTION_MAX {
            return at;
        }
    }
    text.len()
}
