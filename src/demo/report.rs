//! What is told at the end. Plain data for machines; `cli::demo` makes text of it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::account::{Account, Balance, Fate, Input};
use super::watch::Halt;
use crate::config::Subject;
use crate::flow::Code;
use crate::message::payload::{AnswerStatus, Citation};
use crate::ops::dlq::Found;
use crate::ops::offsets::Read;
use crate::provider::calls::Stats;
use crate::worker::Tally;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Every input has ended exactly once, and every group has read its topics to the end.
    pub complete: bool,
    /// Why the demonstration ended before that, if it did.
    pub stopped: Option<String>,
    pub took_ms: u64,
    pub conservation: Conservation,
    pub documents: Vec<Document>,
    pub answers: Vec<Answered>,
    /// Questions whose document was named, and those whose answer cites it.
    pub score: Option<Score>,
    pub stages: Vec<Stage>,
    pub dead_letters: Vec<Letter>,
    pub rungs: Vec<Read>,
    /// Calls to the simulated provider, by outcome.
    pub provider_calls: BTreeMap<String, u64>,
}

/// Whether what went in came out, told from the topics.
#[derive(Clone, Debug, Serialize)]
pub struct Conservation {
    pub holds: bool,
    #[serde(flatten)]
    pub balance: Balance,
    /// Records on rungs that no stage has dealt with.
    pub on_rungs: i64,
    /// Records in all topics of all stages that their group has not committed.
    pub uncommitted: i64,
    pub partitions: u32,
    /// Resources of inputs that have not ended.
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub id: String,
    pub job: String,
    pub fate: Fate,
    pub passages: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    pub id: String,
    pub job: String,
    pub question: String,
    pub fate: Fate,
    pub status: Option<AnswerStatus>,
    pub text: Option<String>,
    pub citations: Vec<Citation>,
    /// The document that should have been cited.
    pub expected: Option<String>,
}

impl Answered {
    /// The answer cites the document that was named for it.
    pub fn is_right(&self) -> bool {
        self.expected.as_ref().is_some_and(|id| self.citations.iter().any(|c| c.document.id == *id))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Score {
    pub asked: usize,
    pub right: usize,
}

/// What a stage counted. For people to look at; the account does not rest on it.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    pub pipeline: String,
    pub stage: String,
    #[serde(rename = "in")]
    pub read: u64,
    #[serde(rename = "out")]
    pub sent: u64,
    pub retried: BTreeMap<Code, u64>,
    pub dead: BTreeMap<Code, u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Letter {
    #[serde(flatten)]
    pub found: Found,
    /// When to send it again, in one sentence, where this version knows the code.
    pub remedy: Option<String>,
}

/// Puts together what is known.
pub fn make(
    account: &Account,
    tallies: &[Arc<Tally>],
    topics: Vec<Read>,
    halt: &Halt,
    took: Duration,
    calls: Stats,
) -> Report {
    let conservation = conservation(account, &topics);
    let answers: Vec<Answered> = of(account, Subject::Question).map(|i| answered(account, i)).collect();
    Report {
        complete: *halt == Halt::Complete && conservation.holds,
        stopped: match halt {
            Halt::Complete => None,
            Halt::Interrupted => Some("interrupted".into()),
            Halt::Stuck(why) => Some(why.clone()),
        },
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        conservation,
        documents: of(account, Subject::Document).map(|i| document(account, i)).collect(),
        score: score(&answers),
        answers,
        stages: tallies.iter().map(|tally| stage(tally)).collect(),
        dead_letters: account.letters().cloned().map(letter).collect(),
        rungs: rungs(tallies, topics),
        provider_calls: by_outcome(&calls),
    }
}

fn of(account: &Account, subject: Subject) -> impl Iterator<Item = &Input> {
    account.inputs().iter().filter(move |input| input.subject == subject)
}

fn conservation(account: &Account, topics: &[Read]) -> Conservation {
    let balance = account.balance();
    let on_rungs = topics.iter().filter(|topic| topic.rung.is_some()).map(|topic| topic.left).sum();
    let uncommitted = topics.iter().map(|topic| topic.left).sum();
    Conservation {
        holds: balance.is_even() && uncommitted == 0,
        balance,
        on_rungs,
        uncommitted,
        partitions: topics.iter().map(|topic| topic.partitions).sum(),
        missing: account.open().map(|input| input.resource.clone()).collect(),
    }
}

fn document(account: &Account, input: &Input) -> Document {
    let (id, job) = (input.resource.clone(), input.job.clone());
    Document { id, job, fate: account.fate(input), passages: account.passages(input) }
}

fn answered(account: &Account, input: &Input) -> Answered {
    let answer = account.answer(input);
    Answered {
        id: input.resource.clone(),
        job: input.job.clone(),
        question: input.text.clone(),
        fate: account.fate(input),
        status: answer.map(|answer| answer.status),
        text: answer.map(|answer| answer.text.clone()),
        citations: answer.map(|answer| answer.citations.clone()).unwrap_or_default(),
        expected: input.expected.clone(),
    }
}

fn score(answers: &[Answered]) -> Option<Score> {
    let asked = answers.iter().filter(|answer| answer.expected.is_some()).count();
    let right = answers.iter().filter(|answer| answer.is_right()).count();
    (asked > 0).then_some(Score { asked, right })
}

fn stage(tally: &Tally) -> Stage {
    let counts = tally.counts();
    Stage {
        pipeline: tally.pipeline.clone(),
        stage: tally.stage.clone(),
        read: counts.read,
        sent: counts.sent,
        retried: counts.retried,
        dead: counts.dead,
    }
}

fn letter(found: Found) -> Letter {
    let remedy = found.letter.code.parse().ok().and_then(remedy);
    Letter { found, remedy }
}

/// The first sentence of the code's page about sending again: it says what has to change.
fn remedy(code: Code) -> Option<String> {
    let line = code.section("When to redrive")?.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = [". ", ": ", "; "].iter().filter_map(|stop| line.find(stop)).min();
    let sentence = line.get(..end.unwrap_or(line.len()))?.trim_end_matches('.');
    let mut signs = sentence.chars();
    let first = signs.next()?.to_lowercase();
    Some(first.chain(signs).collect())
}

/// In the order of the stages.
fn rungs(tallies: &[Arc<Tally>], topics: Vec<Read>) -> Vec<Read> {
    let of_stage =
        |read: &Read| tallies.iter().position(|t| t.pipeline == read.pipeline && t.stage == read.stage);
    let mut rungs: Vec<Read> = topics.into_iter().filter(|topic| topic.rung.is_some()).collect();
    rungs.sort_by_key(of_stage);
    rungs
}

fn by_outcome(calls: &Stats) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (outcome, count) in calls.calls.values().flatten() {
        *sums.entry((*outcome).to_owned()).or_default() += count;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_remedy_of_one_sentence() {
        for code in Code::ALL {
            let remedy = remedy(*code).unwrap_or_default();
            assert!((10..200).contains(&remedy.len()), "{code}: {remedy}");
            assert!(!remedy.ends_with('.') && !remedy.contains(". "), "{code}: {remedy}");
        }
    }

    fn read(topic: &str, rung: Option<&str>, left: i64) -> Read {
        let [pipeline, stage, topic] = ["p", "s", topic].map(str::to_owned);
        Read { pipeline, stage, topic, rung: rung.map(str::to_owned), partitions: 2, written: 5, left }
    }

    #[test]
    fn a_record_that_waits_or_an_offset_that_lags_upsets_the_balance() {
        let account = Account::default();
        let even = conservation(&account, &[read("p.s", None, 0), read("p.s.retry.1s", Some("1s"), 0)]);
        assert!(even.holds);
        assert_eq!((even.partitions, even.on_rungs, even.uncommitted), (4, 0, 0));
        let waits = conservation(&account, &[read("p.s", None, 0), read("p.s.retry.1s", Some("1s"), 1)]);
        assert!(!waits.holds);
        assert_eq!((waits.on_rungs, waits.uncommitted), (1, 1));
        assert!(!conservation(&account, &[read("p.s", None, 1)]).holds);
    }
}
