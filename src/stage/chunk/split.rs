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

/// The splitter fills a passage up to its size less this part of it. That is the room to take in a neighbour that
/// says little by itself, which is one of at most that size.
const SPARE: usize = 8;

/// Splits texts into passages.
pub struct Splitter {
    markdown: MarkdownSplitter<Tokens>,
    tokens: Tokens,
    tokens_max: usize,
    passages_max: usize,
}

/// The text has more than this many passages.
#[derive(Debug)]
pub struct TooMany(pub usize);

impl Splitter {
    /// Fails when the overlap is not smaller than a passage.
    pub fn new(tokens_max: usize, overlap: usize, passages_max: usize) -> Result<Self, ChunkConfigError> {
        let tokens = Tokens::new();
        let filled = (tokens_max - tokens_max / SPARE).max(overlap.saturating_add(1)).min(tokens_max);
        let config = ChunkConfig::new(filled).with_sizer(tokens).with_overlap(overlap)?;
        Ok(Self { markdown: MarkdownSplitter::new(config), tokens, tokens_max, passages_max })
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
        let mut raw = sections(text).flat_map(move |section| {
            let start = section.start;
            let section = text.get(section).unwrap_or_default();
            let piece = move |(offset, piece): (usize, &str)| start + offset..start + offset + piece.len();
            self.markdown.chunk_indices(section).map(piece)
        });
        let mut open = raw.next();
        std::iter::from_fn(move || {
            let mut piece = open.take()?;
            for next in raw.by_ref() {
                match self.joined(text, &piece, &next) {
                    Some(both) => piece = both,
                    None => {
                        open = Some(next);
                        break;
                    }
                }
            }
            Some((piece.start, text.get(piece)?))
        })
    }

    /// Both pieces as one, when one of them says little by itself and they fit. A heading is left to what
    /// follows it.
    fn joined(&self, text: &str, piece: &Range<usize>, next: &Range<usize>) -> Option<Range<usize>> {
        let both = piece.start..next.end;
        let (before, after) = (text.get(piece.clone())?, text.get(next.clone())?);
        let apart = next.start > piece.end + GAP_MAX;
        let takes_heading = opens_section(after) && !is_headings(before);
        let welcome = if takes_heading {
            self.is_little(before) && !is_headings(after)
        } else {
            self.is_little(before) || self.is_little(after)
        };
        if apart || !welcome {
            return None;
        }
        (self.tokens.count(text.get(both.clone())?) <= self.tokens_max).then_some(both)
    }

    fn is_little(&self, piece: &str) -> bool {
        let most = self.tokens_max / SPARE;
        // Hardly a token is longer than 16 bytes; counting takes time.
        piece.len() <= most * 16 && self.tokens.count(piece) <= most
    }
}

fn opens_section(piece: &str) -> bool {
    said(piece).next().is_some_and(|line| heading_of(line).is_some())
}

fn is_headings(piece: &str) -> bool {
    said(piece).all(|line| heading_of(line).is_some())
}

/// The lines that are not blank.
fn said(piece: &str) -> impl Iterator<Item = &str> {
    piece.lines().filter(|line| !line.trim().is_empty())
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
