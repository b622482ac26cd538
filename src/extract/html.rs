//! HTML to Markdown: headings, paragraphs, lists, tables and code; no scripts, no navigation.
//!
//! The tree is walked with a stack of its own, because documents nest deeper than a thread's stack is.

use html5ever::tendril::TendrilSink;
use html5ever::{Attribute, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::tidy::is_cjk;

/// Elements that hold nothing to read.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "nav", "footer", "select",
    "button", "input", "textarea", "dialog", "head",
];
/// Class names and ids of what surrounds a page's text, as DocBook, Publican, Sphinx, Doxygen and site builders name it.
const FURNITURE: &[&str] = &[
    "navheader",
    "navfooter",
    "docnav",
    // Lists of what stands elsewhere: they would answer for the pages that they point to.
    "toc",
    "toctree-wrapper",
    "table-of-contents",
    "navigation",
    "navbar",
    "sidebar",
    "sphinxsidebar",
    "related",
    "breadcrumb",
    "breadcrumbs",
    "headerlink",
    "skip-link",
    "site-footer",
    "cookie-banner",
];
const ROLES: &[&str] = &["navigation", "banner", "contentinfo", "search"];

/// Markdown and title. A page that is nothing but navigation is read with it.
pub fn read(html: &str) -> (String, Option<String>) {
    let dom = parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(html);
    let mut text = walk(&dom.document, true);
    if text.out.trim().is_empty() {
        text = walk(&dom.document, false);
    }
    let title = title(&dom.document).or(text.first_heading);
    (text.out, title)
}

enum Step {
    Enter(Handle),
    Leave(String),
}

fn walk(root: &Handle, without_furniture: bool) -> Writer {
    let mut writer = Writer::default();
    let mut steps = vec![Step::Enter(root.clone())];
    while let Some(step) = steps.pop() {
        let node = match step {
            Step::Enter(node) => node,
            Step::Leave(tag) => {
                writer.leave(&tag);
                continue;
            }
        };
        match &node.data {
            NodeData::Text { contents } => writer.text(&contents.borrow()),
            NodeData::Element { name, attrs, .. } => {
                let tag: &str = &name.local;
                let attrs = attrs.borrow();
                if SKIPPED.contains(&tag) && (without_furniture || !matches!(tag, "nav" | "footer"))
                    || without_furniture && is_furniture(&attrs)
                {
                    continue;
                }
                writer.enter(tag, &attrs);
                steps.push(Step::Leave(tag.to_owned()));
            }
            _ => {}
        }
        steps.extend(node.children.borrow().iter().rev().cloned().map(Step::Enter));
    }
    writer
}

fn is_furniture(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| match &*attr.name.local {
        "class" | "id" => attr.value.split_ascii_whitespace().any(|word| FURNITURE.contains(&word)),
        "role" => ROLES.contains(&&*attr.value),
        "hidden" => true,
        _ => false,
    })
}

/// The text of the first `title` element of the head.
fn title(root: &Handle) -> Option<String> {
    let mut nodes = vec![root.clone()];
    while let Some(node) = nodes.pop() {
        if let NodeData::Element { name, .. } = &node.data {
            match &*name.local {
                "title" => {
                    let mut writer = Writer::default();
                    for child in node.children.borrow().iter() {
                        if let NodeData::Text { contents } = &child.data {
                            writer.text(&contents.borrow());
                        }
                    }
                    return Some(writer.out.trim().to_owned()).filter(|t| !t.is_empty());
                }
                "body" => continue,
                _ => {}
            }
        }
        nodes.extend(node.children.borrow().iter().rev().cloned());
    }
    None
}

/// Markdown under construction. White space is folded as a browser does, and breaks are written when text
/// follows, so that nested blocks leave no more than one blank line.
#[derive(Default)]
struct Writer {
    out: String,
    /// Newlines owed before the next text.
    breaks: usize,
    /// White space was seen since the last text; with a newline in it or not.
    space: Option<bool>,
    /// What opens the next text: `# `, `- `, `| `.
    opening: String,
    lists: Vec<Option<usize>>,
    pre: usize,
    heading: Option<usize>,
    first_heading: Option<String>,
}

impl Writer {
    fn text(&mut self, text: &str) {
        if self.pre > 0 {
            self.begin();
            return self.out.push_str(text);
        }
        for (n, piece) in text.split(|c: char| c.is_ascii_whitespace()).enumerate() {
            // Between two pieces there was one white space character.
            if n > 0 {
                self.space = Some(self.space.unwrap_or(false) || text.contains('\n'));
            }
            if let Some(first) = piece.chars().next() {
                self.begin_word(first);
                self.out.push_str(piece);
            }
        }
    }

    fn begin_word(&mut self, first: char) {
        let fresh = self.breaks > 0 || self.out.is_empty() || !self.opening.is_empty();
        self.begin();
        if let Some(newline) = self.space.take() {
            // A line break in the source between two CJK characters is no space.
            let joined = newline && is_cjk(first) && self.out.chars().next_back().is_some_and(is_cjk);
            if !fresh && !joined {
                self.out.push(' ');
            }
        }
    }

    /// Pays the breaks owed and writes what opens the text.
    fn begin(&mut self) {
        if self.breaks > 0 && self.opening == " | " {
            self.opening.clear();
        }
        if self.breaks > 0 && !self.out.is_empty() {
            self.out.push_str(if self.breaks > 1 { "\n\n" } else { "\n" });
        }
        self.breaks = 0;
        self.out.push_str(&std::mem::take(&mut self.opening));
    }

    fn owe(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
        if breaks > 0 {
            self.space = None;
        }
    }

    fn enter(&mut self, tag: &str, attrs: &[Attribute]) {
        if self.pre == 0 {
            self.owe(breaks_around(tag));
        }
        match tag {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = tag.trim_start_matches('h').parse().unwrap_or(1);
                self.opening = format!("{} ", "#".repeat(level));
                self.heading = Some(self.out.len());
            }
            "pre" => {
                self.begin();
                self.out.push_str("```\n");
                self.pre += 1;
            }
            "br" => self.owe(1),
            "ul" => self.lists.push(None),
            "ol" => self.lists.push(Some(0)),
            "li" => self.open_item(),
            "td" | "th" if !self.out.is_empty() && self.breaks == 0 => self.opening = " | ".into(),
            "img" => {
                if let Some(alt) = attrs.iter().find(|a| &*a.name.local == "alt") {
                    self.text(&alt.value);
                }
            }
            _ => {}
        }
    }

    fn open_item(&mut self) {
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(8));
        self.opening = match self.lists.last_mut() {
            Some(Some(n)) => {
                *n += 1;
                format!("{indent}{n}. ")
            }
            _ => format!("{indent}- "),
        };
    }

    fn leave(&mut self, tag: &str) {
        match tag {
            "pre" => {
                self.pre = self.pre.saturating_sub(1);
                self.out.push_str(if self.out.ends_with('\n') { "```" } else { "\n```" });
            }
            "ul" | "ol" => drop(self.lists.pop()),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.close_heading(),
            _ => {}
        }
        if self.pre == 0 {
            self.owe(breaks_around(tag));
        }
    }

    fn close_heading(&mut self) {
        self.opening.clear();
        let start = self.heading.take().unwrap_or(self.out.len());
        let text = self.out.get(start..).unwrap_or_default().trim().trim_start_matches('#').trim();
        if self.first_heading.is_none() && !text.is_empty() {
            self.first_heading = Some(text.to_owned());
        }
    }
}

/// Newlines before and after an element's text: two make a paragraph, one a line.
fn breaks_around(tag: &str) -> usize {
    match tag {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "pre" | "table" | "blockquote" | "section"
        | "article" | "main" | "hr" | "dl" | "figure" | "details" => 2,
        "div" | "li" | "tr" | "dt" | "dd" | "ul" | "ol" | "caption" | "figcaption" | "header" | "aside"
        | "address" | "summary" | "center" | "form" | "fieldset" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
