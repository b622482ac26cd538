//! The headings of a Markdown text: where each stands, and which of them lie above a place.

/// The headings in the order of the text.
pub struct Outline {
    headings: Vec<Heading>,
}

struct Heading {
    /// Byte offset of the line.
    at: usize,
    /// 1 to 6.
    level: usize,
    title: String,
}

/// Longest heading path kept, bytes; a "heading" longer than this is a paragraph gone wrong.
const PATH_MAX: usize = 512;

impl Outline {
    /// Finds the lines that begin with `#`, outside fenced code.
    pub fn of(text: &str) -> Self {
        let mut headings = Vec::new();
        let mut fence: Option<&str> = None;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            match (fence, fence_of(line)) {
                (None, Some(mark)) => fence = Some(mark),
                (Some(open), Some(mark)) if mark == open => fence = None,
                (None, None) => {
                    if let Some((level, title)) = heading_of(line) {
                        headings.push(Heading { at, level, title: title.to_owned() });
                    }
                }
                _ => {}
            }
            at += line.len();
        }
        Self { headings }
    }

    /// The first heading of the text.
    pub fn first(&self) -> Option<&str> {
        self.headings.first().map(|h| h.title.as_str())
    }

    /// The headings under which the byte at `offset` stands, outermost first, joined by ` > `.
    pub fn path(&self, offset: usize) -> Option<String> {
        let above = self.headings.partition_point(|h| h.at <= offset);
        let mut path: Vec<&str> = Vec::new();
        let mut level = usize::MAX;
        for heading in self.headings.get(..above).unwrap_or_default().iter().rev() {
            if heading.level < level {
                path.push(&heading.title);
                level = heading.level;
            }
            if level == 1 {
                break;
            }
        }
        path.reverse();
        let path = crate::flow::fault::one_line(&path.join(" > "), PATH_MAX);
        (!path.is_empty()).then_some(path)
    }
}

/// Level and title of an ATX heading (CommonMark §4.2).
pub fn heading_of(line: &str) -> Option<(usize, &str)> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let line = line.trim();
    let level = line.bytes().take_while(|b| *b == b'#').count();
    let rest = line.get(level..)?;
    if indent > 3 || !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let rest = rest.trim();
    let title = rest.trim_end_matches('#');
    let closed = title.is_empty() || title.ends_with([' ', '\t']);
    Some((level, if closed { title.trim_end() } else { rest }))
}

/// The three characters that open or close a code fence on this line.
fn fence_of(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "preface\n# Guide #\nintro\n## Set-up\ntext\n```sh\n# not a heading\n```\n### Linux\nx\n## Use of C#\ny\n";

    fn path_at(needle: &str) -> Option<String> {
        Outline::of(TEXT).path(TEXT.find(needle).expect("needle"))
    }

    #[test]
    fn a_place_stands_below_the_headings_above_it() {
        assert_eq!(path_at("preface"), None);
        assert_eq!(path_at("intro").as_deref(), Some("Guide"));
        assert_eq!(path_at("# not a heading").as_deref(), Some("Guide > Set-up"));
        assert_eq!(path_at("x\n").as_deref(), Some("Guide > Set-up > Linux"));
        assert_eq!(path_at("y\n").as_deref(), Some("Guide > Use of C#"));
    }

    #[test]
    fn a_hash_without_a_space_or_too_deep_is_no_heading() {
        for line in ["#tag", "####### seven", "    # code", "text # text"] {
            assert_eq!(heading_of(line), None, "{line}");
        }
    }
}
