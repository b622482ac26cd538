//! The `ground` stage: a draft becomes an answer only if it cites evidence that was retrieved. It asks nobody.

use async_trait::async_trait;

use super::generate::NO_ANSWER;
use super::{Job, Output, Stage, marks};
use crate::config;
use crate::flow::{Code, Fault};
use crate::message::payload::{Answer, AnswerStatus, Citation, Draft, Evidence, Question};

/// Characters of a passage that are quoted.
const QUOTE_CHARS: usize = 160;

/// Draft to answer.
pub struct Ground {
    citations_max: usize,
}

impl Ground {
    pub fn new(settings: &config::Ground) -> Self {
        Self { citations_max: settings.citations_max.max(1) }
    }
}

#[async_trait]
impl Stage for Ground {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let draft: Draft = job.payload_as()?;
        let (status, text, citations) = if is_no_answer(&draft.text) {
            (AnswerStatus::Unanswerable, unanswerable(&draft.question).to_owned(), Vec::new())
        } else {
            let (text, citations) = ground(&draft, self.citations_max)?;
            (AnswerStatus::Answered, text, citations)
        };
        let Draft { question, model, usage, .. } = draft;
        Ok(vec![Output::new(&Answer { question, status, text, citations, model, usage })?])
    }
}

/// Models wrap the word in quotes or put a full stop after it.
fn is_no_answer(text: &str) -> bool {
    text.trim_matches(|c: char| !c.is_alphanumeric()) == NO_ANSWER
}

/// In the language of the question, as far as its script tells.
fn unanswerable(question: &Question) -> &'static str {
    let kana_or_kanji = |c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}');
    if question.text.chars().any(kana_or_kanji) {
        "この質問に答える文書は見つかりませんでした。"
    } else {
        "No document was found that answers this question."
    }
}

/// The text with valid marks only, and what they point to.
fn ground(draft: &Draft, citations_max: usize) -> Result<(String, Vec<Citation>), Fault> {
    let cited = kept(&draft.evidence, cited(&draft.text, draft.evidence.len()), citations_max);
    let text = marks::rewrite(&draft.text, |mark| cited.contains(&mark)).trim().to_owned();
    let words = marks::rewrite(&text, |_| false);
    if cited.is_empty() || words.trim().is_empty() {
        let message = format!(
            "the answer of {} cites none of the {} passages it was shown",
            draft.model,
            draft.evidence.len()
        );
        return Err(Fault::new(Code::AnswerUngrounded, message));
    }
    let citations =
        cited.iter().filter_map(|mark| Some(citation(*mark, evidence(&draft.evidence, *mark)?))).collect();
    Ok((text, citations))
}

/// The marks that point to evidence, each once, in the order of the text.
fn cited(text: &str, evidence: usize) -> Vec<u32> {
    let mut cited = Vec::new();
    for mark in marks::find(text).into_iter().flat_map(|mark| mark.numbers) {
        if (1..=evidence).contains(&(mark as usize)) && !cited.contains(&mark) {
            cited.push(mark);
        }
    }
    cited
}

/// At most `max` marks, still in the order of the text. A document's first passage goes before another's
/// second: the reader sees as many sources as there is room for.
fn kept(all: &[Evidence], cited: Vec<u32>, max: usize) -> Vec<u32> {
    let id = |mark: &u32| evidence(all, *mark).map(|e| e.document.id.as_str());
    let is_first = |at: usize, mark: &u32| !cited.iter().take(at).any(|earlier| id(earlier) == id(mark));
    let (first, further): (Vec<_>, Vec<_>) =
        cited.iter().enumerate().partition(|(at, mark)| is_first(*at, mark));
    let chosen: Vec<u32> = first.into_iter().chain(further).take(max).map(|(_, mark)| *mark).collect();
    cited.iter().copied().filter(|mark| chosen.contains(mark)).collect()
}

fn evidence(all: &[Evidence], mark: u32) -> Option<&Evidence> {
    all.get((mark as usize).checked_sub(1)?)
}

fn citation(mark: u32, evidence: &Evidence) -> Citation {
    Citation {
        mark,
        document: evidence.document.clone(),
        ordinal: evidence.ordinal,
        heading: evidence.heading.clone(),
        page: evidence.page,
        quote: quote(&evidence.text),
    }
}

/// The first characters, on one line.
fn quote(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(QUOTE_CHARS) {
        Some((cut, _)) => format!("{}…", line.get(..cut).unwrap_or_default().trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests;
