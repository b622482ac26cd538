//! Finds the numbered passages and the question in a chat prompt. It forgives what it does not expect: a prompt
//! without passages is a question without evidence.

/// A passage of the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The number it is cited by.
    pub mark: u32,
    /// What stands in brackets after the number; empty when nothing does.
    pub title: String,
    pub text: String,
}

/// What is asked, and what may be used to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    pub passages: Vec<Passage>,
    pub question: String,
}

/// Reads a user message. A passage begins at a line with the next number in square brackets, and the question
/// stands on the last line that starts with `Question:`; without such a line all the text is the question.
pub fn read(message: &str) -> Prompt {
    let lines: Vec<&str> = message.lines().collect();
    let Some(asked) = lines.iter().rposition(|line| line.trim_start().starts_with("Question:")) else {
        return Prompt { passages: Vec::new(), question: message.trim().to_owned() };
    };
    let (before, from) = lines.split_at(asked);
    let heading = before.iter().position(|line| line.trim() == "Passages:");
    let body = before.get(heading.map_or(0, |at| at + 1)..).unwrap_or_default();
    Prompt { passages: passages(body), question: question(from) }
}

/// The rest of the question's line, or the paragraph below it when the line says nothing more.
fn question(lines: &[&str]) -> String {
    let Some((first, rest)) = lines.split_first() else {
        return String::new();
    };
    let same_line = first.trim_start().trim_start_matches("Question:").trim();
    if !same_line.is_empty() {
        return same_line.to_owned();
    }
    let below = rest.iter().map(|line| line.trim()).skip_while(|line| line.is_empty());
    below.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn passages(lines: &[&str]) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    for line in lines {
        // Numbers ascend, so a list of references inside a passage is seldom taken for passages.
        let next = passages.last().map_or(1, |p| p.mark + 1);
        match marked(line).filter(|(mark, _)| *mark == next || passages.is_empty()) {
            Some((mark, rest)) => {
                let (title, text) = titled(rest);
                passages.push(Passage { mark, title: title.to_owned(), text: text.to_owned() });
            }
            None => {
                if let Some(passage) = passages.last_mut() {
                    passage.text.push('\n');
                    passage.text.push_str(line);
                }
            }
        }
    }
    passages
}

/// The number and the rest of a line such as `[3] (Title) text`.
fn marked(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest.trim_start()))
}

/// The title in brackets, which may contain brackets itself, and the rest.
fn titled(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => {
                let title = text.get(1..at).unwrap_or_default();
                return (title, text.get(at + 1..).unwrap_or_default().trim_start());
            }
            ')' => depth -= 1,
            _ if depth == 0 => return ("", text),
            _ => {}
        }
    }
    ("", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_and_question_are_found() {
        let prompt = read(
            "Answer from the passages only.\n[9] is how a mark looks.\n\nPassages:\n[1] (Tides (2026)) High water\nis at noon.\n\n\
             [2] No title here.\n[7] is not the next number.\nQuestion: is this one in the text?\n\nQuestion: When is high water?",
        );
        assert_eq!(prompt.question, "When is high water?");
        assert_eq!(prompt.passages.len(), 2);
        assert_eq!(prompt.passages[0].title, "Tides (2026)");
        assert_eq!(prompt.passages[0].text.trim(), "High water\nis at noon.");
        assert!(prompt.passages[1].text.contains("[7] is not the next number."));
        assert_eq!((prompt.passages[1].mark, prompt.passages[1].title.as_str()), (2, ""));
    }

    #[test]
    fn a_question_may_stand_below_its_heading() {
        assert_eq!(read("[1] x\nQuestion:\n\nWhat\nis x?\n\nAnswer:").question, "What is x?");
    }

    #[test]
    fn a_message_without_the_form_is_a_question_without_passages() {
        assert_eq!(read(" hello "), Prompt { passages: Vec::new(), question: "hello".into() });
        assert_eq!(read(""), Prompt::default());
        assert!(read("[1] (open\nQuestion: q").passages[0].title.is_empty());
    }
}
