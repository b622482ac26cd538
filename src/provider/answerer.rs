//! The local chat model: it answers a question with the sentences of the given passages that fit best, each with
//! its mark. It writes nothing of its own, so it cannot invent; it says [`NO_ANSWER`] when nothing fits.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::embedder::{cosine, embed};
use super::prompt::{Passage, Prompt};
use super::{sentences, words};

/// The whole answer when the passages do not answer, as the shipped prompt asks for.
pub const NO_ANSWER: &str = "NO_ANSWER";

/// Most sentences of an answer, each from another passage.
const SENTENCES_MAX: usize = 5;
/// Most sentences from passages of one title, so that one long document does not fill the answer.
const PER_TITLE_MAX: usize = 2;
/// Least share of the question's weight that some passage has to cover.
const COVERAGE_MIN: f32 = 0.25;
/// Sentences below this share of the best one's score are left out.
const RELATIVE_MIN: f32 = 0.3;

/// A sentence that may be part of the answer.
struct Candidate<'a> {
    passage: &'a Passage,
    sentence: String,
    score: f32,
}

/// The sentences of the answer with their marks, best first; empty when the passages do not answer.
pub fn answer(prompt: &Prompt) -> Vec<String> {
    let Some(question) = Question::new(prompt) else {
        return Vec::new();
    };
    let mut candidates: Vec<Candidate<'_>> =
        prompt.passages.iter().filter_map(|p| question.best_of(p)).collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let least = candidates.first().map_or(0.0, |best| best.score * RELATIVE_MIN);

    candidates.retain(|c| c.score >= least);

    // The best of each title goes before the second best of any: several sources say more than one.
    let mut per_title: HashMap<&str, usize> = HashMap::new();
    let (mut first, mut further) = (Vec::new(), Vec::new());
    for candidate in &candidates {
        let title = title_key(candidate.passage);
        let taken = per_title.entry(title).or_default();
        *taken += 1;
        match *taken {
            _ if title.is_empty() => first.push(candidate),
            1 => first.push(candidate),
            2..=PER_TITLE_MAX => further.push(candidate),
            _ => {}
        }
    }
    let mut chosen: Vec<_> = first.into_iter().chain(further).take(SENTENCES_MAX).collect();
    chosen.sort_by(|a, b| b.score.total_cmp(&a.score));
    chosen.into_iter().map(|c| format!("{} [{}]", c.sentence, c.passage.mark)).collect()
}

fn title_key(passage: &Passage) -> &str {
    // `Title > Section` is still the same title.
    passage.title.split(" > ").next().unwrap_or_default()
}

/// What is asked, with the weight of each of its terms among the given passages.
struct Question {
    /// Ordered, so that sums over it are the same each time.
    weights: BTreeMap<String, f32>,
    vector: Vec<f32>,
    /// How many passages there are.
    passages: usize,
}

impl Question {
    /// `None` when no passage speaks of it.
    fn new(prompt: &Prompt) -> Option<Self> {
        let passages: Vec<HashSet<String>> = prompt.passages.iter().map(terms_of_passage).collect();
        let mut weights: BTreeMap<String, f32> = BTreeMap::new();
        let mut asked = weights.clone();
        for term in words::terms(&words::normalise(&prompt.question)) {
            let with = passages.iter().filter(|p| p.contains(&term.text)).count() as f32;
            let rarity = (1.0 + passages.len() as f32 / (with + 0.5)).ln();
            asked.insert(term.text.clone(), term.weight);
            weights.insert(term.text, term.weight * rarity);
        }
        let question = Self { weights, vector: embed(&prompt.question), passages: passages.len() };
        // Without the rarity: what all the passages speak of is what they were found for.
        let covered = passages.iter().map(|p| share(&asked, p)).fold(0.0, f32::max);
        (covered >= COVERAGE_MIN).then_some(question)
    }

    fn coverage(&self, terms: &HashSet<String>) -> f32 {
        share(&self.weights, terms)
    }

    /// The passage's best sentence; `None` when the passage has nothing of the question.
    fn best_of<'a>(&self, passage: &'a Passage) -> Option<Candidate<'a>> {
        let around = self.coverage(&terms_of_passage(passage));
        if around == 0.0 {
            return None;
        }
        // The passages come best first, by a search that knows all documents: their order counts.
        let order = 1.0 - passage.mark.saturating_sub(1) as f32 / self.passages.max(1) as f32;
        let score = |sentence: &str| {
            let near = cosine(&self.vector, &embed(sentence)).max(0.0);
            0.4 * self.coverage(&terms_of(sentence)) + 0.15 * near + 0.15 * around + 0.3 * order
        };
        let scored = sentences::split(&passage.text).into_iter().map(|s| (score(&s), s));
        let (score, sentence) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(Candidate { passage, sentence, score })
    }
}

/// The share of the whole weight that these terms cover, 0 to 1.
fn share(weights: &BTreeMap<String, f32>, terms: &HashSet<String>) -> f32 {
    let total: f32 = weights.values().sum();
    let covered: f32 =
        weights.iter().filter(|(term, _)| terms.contains(*term)).map(|(_, weight)| weight).sum();
    if total > 0.0 { covered / total } else { 0.0 }
}

fn terms_of(text: &str) -> HashSet<String> {
    words::terms(&words::normalise(text)).into_iter().map(|term| term.text).collect()
}

fn terms_of_passage(passage: &Passage) -> HashSet<String> {
    terms_of(&format!("{}\n{}", passage.title, passage.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::prompt;

    fn ask(passages: &[&str], question: &str) -> String {
        let mut message = String::from("Passages:\n");
        for (n, passage) in passages.iter().enumerate() {
            message.push_str(&format!("[{}] {passage}\n\n", n + 1));
        }
        answer(&prompt::read(&format!("{message}Question: {question}"))).join(" ")
    }

    const ENGLISH: &[&str] = &[
        "(Kitchen) Bread is baked on Mondays. Flour comes by boat.",
        "(Quarantine) The flag is yellow. Ships from infected ports wait at anchor for forty days.",
        "(Lamp) The keeper trims the wick every four hours.",
    ];

    #[test]
    fn the_sentence_that_answers_comes_first_with_its_mark() {
        let answer = ask(ENGLISH, "How many days do ships wait at anchor?");
        assert!(
            answer.starts_with("Ships from infected ports wait at anchor for forty days. [2]"),
            "{answer}"
        );
    }

    #[test]
    fn japanese_is_answered_from_japanese() {
        let passages = [
            "(灯台) 灯台守は四時間ごとに灯芯を切ります。時刻は帳簿に記録されます。",
            "(検疫) 旗は黄色です。感染した港から来た船は四十日間停泊します。",
        ];
        let answer = ask(&passages, "感染した港の船は何日間停泊しますか？");
        assert!(answer.starts_with("感染した港から来た船は四十日間停泊します。 [2]"), "{answer}");
    }

    #[test]
    fn a_question_that_nothing_speaks_of_has_no_answer() {
        assert_eq!(ask(ENGLISH, "Which planets have rings?"), "");
        assert_eq!(ask(ENGLISH, "火星の衛星は何ですか？"), "");
        assert_eq!(ask(ENGLISH, "the of and?"), "");
        assert_eq!(ask(&[], "How many days do ships wait?"), "");
    }

    #[test]
    fn one_document_does_not_fill_the_answer() {
        let mut passages = vec!["(Log > 1) The ship waits."; 6];
        passages.push("(Rules) Every ship waits for a pilot.");
        let answer = ask(&passages, "What does the ship wait for?");
        assert_eq!(answer.matches('[').count(), 3, "{answer}");
        assert!(answer.contains("[7]"), "{answer}");
    }

    #[test]
    fn what_all_passages_speak_of_may_be_most_of_the_question() {
        let passages = ["(A) LVM makes logical volumes.", "(B) Logical volumes of LVM grow."];
        assert!(ask(&passages, "explain LVM logical volumes and snapshots").contains("[1]"));
    }

    #[test]
    fn another_source_goes_before_a_second_sentence_of_the_same() {
        let mut passages =
            vec!["(Log > 1) The ship waits for the pilot.", "(Log > 2) The ship waits for the pilot."];
        let others: Vec<String> =
            (0..4).map(|n| format!("(Ship {n}) Some ship waits in dock {n}.")).collect();
        passages.extend(others.iter().map(String::as_str));
        let answer = ask(&passages, "Which ship waits for the pilot?");
        assert!((3..=6).all(|mark| answer.contains(&format!("[{mark}]"))), "{answer}");
    }

    #[test]
    fn an_answer_has_at_most_five_sentences() {
        let passages: Vec<String> = (0..9).map(|n| format!("(Ship {n}) The ship waits.")).collect();
        let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
        assert_eq!(ask(&passages, "Which ship waits?").matches('[').count(), SENTENCES_MAX);
    }
}
