//! The body of a DOCX as Markdown, from the stream of its XML events.
//!
//! It never builds a tree, so that depth costs nothing.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};

use super::{DOCUMENT, attribute, each, outline_level, push_text};
use crate::extract::tidy::without_headings;
use crate::flow::Fault;

/// Markdown of `word/document.xml`; `levels` are the heading levels by style id.
pub fn markdown(xml: &str, levels: &HashMap<String, usize>) -> Result<String, Fault> {
    let mut body = Body::new(levels);
    each(xml, DOCUMENT, |event| match event {
        Event::Start(tag) => {
            body.open(&tag);
            body.property(&tag);
        }
        Event::Empty(tag) => body.property(&tag),
        Event::End(tag) => body.close(tag.local_name().as_ref()),
        event if body.in_text && body.skipping == 0 => body.text(&event),
        _ => {}
    })?;
    Ok(body.out)
}

/// The document body under construction. Paragraphs nest (text boxes), tables nest.
struct Body<'a> {
    levels: &'a HashMap<String, usize>,
    out: String,
    paragraphs: Vec<Paragraph>,
    /// One entry for each open table: the cells of its open row.
    rows: Vec<Vec<String>>,
    in_text: bool,
    /// Depth inside an alternative for older readers, which repeats what was read already.
    skipping: usize,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    level: usize,
    list: bool,
}

impl<'a> Body<'a> {
    fn new(levels: &'a HashMap<String, usize>) -> Self {
        Self {
            levels,
            out: String::new(),
            paragraphs: Vec::new(),
            rows: Vec::new(),
            in_text: false,
            skipping: 0,
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) {
        match tag.local_name().as_ref() {
            "Fallback" => self.skipping += 1,
            "p" if self.skipping == 0 => self.paragraphs.push(Paragraph::default()),
            "t" => self.in_text = true,
            "tbl" => self.rows.push(Vec::new()),
            "tc" => {
                if let Some(row) = self.rows.last_mut() {
                    row.push(String::new());
                }
            }
            _ => {}
        }
    }

    /// What an element says about the paragraph around it, with or without content of its own.
    fn property(&mut self, tag: &BytesStart<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match tag.local_name().as_ref() {
            "pStyle" => {
                let style = attribute(tag, "val").unwrap_or_default();
                paragraph.level = self.levels.get(&style).copied().unwrap_or(paragraph.level);
            }
            "outlineLvl" => {
                let value = attribute(tag, "val").unwrap_or_default();
                paragraph.level = outline_level(&value).unwrap_or(paragraph.level);
            }
            "numPr" => paragraph.list = true,
            "tab" => paragraph.text.push('\t'),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('-'),
            _ => {}
        }
    }

    fn text(&mut self, event: &Event<'_>) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            push_text(&mut paragraph.text, event);
        }
    }

    fn close(&mut self, tag: &str) {
        match tag {
            "Fallback" => self.skipping = self.skipping.saturating_sub(1),
            "t" => self.in_text = false,
            "p" if self.skipping == 0 => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.finish(&paragraph);
                }
            }
            "tr" => {
                let row = self.rows.last_mut().map(std::mem::take).unwrap_or_default();
                self.block(&row.join(" | "), "\n");
            }
            "tbl" => {
                self.rows.pop();
                self.block("", "\n\n");
            }
            _ => {}
        }
    }

    fn finish(&mut self, paragraph: &Paragraph) {
        let text = paragraph.text.trim();
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
            if !cell.is_empty() && !text.is_empty() {
                cell.push(' ');
            }
            return cell.push_str(&text.replace('\n', " "));
        }
        match (paragraph.level, paragraph.list) {
            _ if text.is_empty() => {}
            (0, false) => self.block(&without_headings(text), "\n\n"),
            (0, true) => self.block(&format!("- {text}"), "\n"),
            (level, _) => self.block(&format!("{} {}", "#".repeat(level), text.replace('\n', " ")), "\n\n"),
        }
    }

    /// Appends to the open cell of the table around, or to the document.
    fn block(&mut self, text: &str, end: &str) {
        let outer = self
            .rows
            .len()
            .checked_sub(2)
            .and_then(|at| self.rows.get_mut(at))
            .and_then(|row| row.last_mut());
        match outer {
            Some(cell) => {
                cell.push_str(text);
                cell.push(' ');
            }
            None => {
                self.out.push_str(text);
                self.out.push_str(end);
            }
        }
    }
}
