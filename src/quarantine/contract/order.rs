//! The order in which topics are read does not matter: the same records give the same answers, and those are what a slow
//! and simple model says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{Model, answers};
use super::{Act, ActFilter, Batch, Deed, Entry, Filter, Kept, Open, Quarantine, State, at, letter, parcel};
use crate::config::expression::Expression;
use crate::message::{Coordinates, Headers, Spent, TopicPartition};
use crate::quarantine::{Condition, Edit, Outcome};

const SEEDS: u64 = 6;
const PARTITIONS: i32 = 3;

pub async fn order(open: &impl Open) {
    let index = open().await;
    for seed in 0..SEEDS {
        index.clear().await.expect("works");
        the_same_records_in_any_order_give_the_same_answers(&index, seed).await;
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn name(&mut self, of: &[&str]) -> Option<String> {
        Some(self.pick(of)).filter(|name| !name.is_empty()).map(str::to_owned)
    }
}

enum Record {
    Letter(Box<Entry>),
    Act(i64, Box<Act>),
}

/// Records of each partition of the dead letters, and those of the operations, in order.
fn topics(random: &mut Random) -> Vec<Vec<Record>> {
    let mut topics: Vec<Vec<Record>> = (0..=PARTITIONS).map(|_| Vec::new()).collect();
    let mut entries: Vec<Entry> = Vec::new();
    for n in 0..90 {
        let mut entry = match random.below(6) {
            // A copy of one that was there already.
            0 if n > 0 => random.pick(&entries),
            _ => entry(n, random),
        };
        let partition = random.below(PARTITIONS as u64);
        let topic = &mut topics[partition as usize];
        (entry.at.partition, entry.at.offset) = (partition as i32, topic.len() as i64);
        entries.push(entry.clone());
        topic.push(Record::Letter(Box::new(entry)));
    }
    let acts: Vec<Act> = (0..70).map(|n| deed(n, &entries, random)).collect();
    for (offset, act) in (0..).zip(&acts) {
        topics[PARTITIONS as usize].push(Record::Act(offset, Box::new(act.clone())));
    }
    for offset in 70..75 {
        topics[PARTITIONS as usize].push(Record::Act(offset, Box::new(random.pick(&acts))));
    }
    topics
}

fn entry(n: i64, random: &mut Random) -> Entry {
    let (stage, job) = (random.pick(&["parse", "embed"]), random.below(25));
    let redrives = random.below(4) as u32;
    Entry {
        // As Lazaret makes them: of pipeline, stage, job and redrives.
        id: format!("{stage}-{job}-{redrives}"),
        pipeline: "rag".into(),
        stage: stage.into(),
        code: random.pick(&["llm.timeout", "llm.rate_limited", "llmx", "document.empty"]).into(),
        class: random.pick(&["transient", "permanent", ""]).into(),
        message: format!("Wreck {} of {n}", random.below(4)),
        fingerprint: format!("f{}", random.below(5)),
        last_failure: at(random.below(40) as i64 * 900_000),
        redrives,
        job: if job < 3 { format!("job-1/{job}") } else { format!("job-{job}") },
        tenant: random.name(&["acme", "beta", "gamma", ""]),
        resource: random.name(&["a.pdf", "b.pdf", ""]),
        trace: random.name(&["t1", "t2", "t3", ""]),
        producer: random.name(&["crawler", ""]),
        feature: random.name(&["search", "chat"]),
        model: random.name(&["small", "large", ""]),
        revision: random.name(&["1", "2", ""]),
        size: random.below(1000),
        spent: spent(random),
        at: Coordinates { timestamp: random.pick(&[None, Some(5), Some(7)]), ..letter(n).at },
        ..letter(n)
    }
}

fn spent(random: &mut Random) -> Option<Spent> {
    let (input, output) = (random.below(900), random.below(90));
    (random.below(2) == 0).then_some(Spent { input, output, calls: 2 })
}

fn deed(n: i64, entries: &[Entry], random: &mut Random) -> Act {
    let edit = Edit::new(format!("was {n}"), None, &Headers::new()).bare(n);
    let deeds = [
        Deed::Redriven,
        Deed::Settled { outcome: Outcome::Succeeded },
        Deed::Settled { outcome: Outcome::FailedAgain },
        Deed::Settled { outcome: Outcome::Returned },
        Deed::Discarded,
        Deed::Restored,
        Deed::Reclassified { code: "parse.failed".into(), class: "permanent".into() },
        Deed::Edited { edit: Box::new(edit) },
        Deed::Unedited { edit: format!("act-{}", random.below(70)) },
        Deed::Noted { text: format!("note {n}") },
        Deed::Assigned { owner: String::new() },
        Deed::Linked { ticket: format!("T-{n}") },
        Deed::Resolved,
        Deed::Archived { parcel: Box::new(parcel(random.pick(&["a", "b"]))) },
        Deed::Unarchived { object: "a".into() },
    ];
    let letters = (0..random.below(5)).map(|_| random.pick(entries).id).collect();
    let (_, act) = super::act(n, &[], random.pick(&deeds));
    let group = (random.below(2) == 0).then(|| format!("f{}", random.below(6)));
    let operation = format!("op-{}", random.below(4));
    let by = random.pick(&["ada", "rule:night", "ben"]).to_owned();
    Act { letters, group, operation, by, at: at(random.below(40) as i64 * 900_000), ..act }
}

/// Takes the topics' records in batches of any size, partition by partition or all mixed.
async fn read(index: &dyn Quarantine, topics: &[Vec<Record>], random: &mut Random) {
    let mut next = vec![0; topics.len()];
    let most = random.pick(&[1, 3, 20, 500]);
    let mut batch = Batch::default();
    let mut left = most;
    loop {
        let open: Vec<usize> = (0..topics.len()).filter(|n| next[*n] < topics[*n].len()).collect();
        if open.is_empty() {
            break;
        }
        let topic = random.pick(&open);
        for _ in 0..=random.below(12) {
            match topics[topic].get(next[topic]) {
                Some(Record::Letter(entry)) => batch.entries.push((**entry).clone()),
                Some(Record::Act(offset, act)) => batch.acts.push((*offset, (**act).clone())),
                None => break,
            }
            next[topic] += 1;
            batch.positions.insert(TopicPartition::new(format!("t{topic}"), 0), next[topic] as i64);
            left -= 1;
            if left == 0 {
                index.apply(std::mem::take(&mut batch)).await.expect("works");
                left = most;
                // Now and then a part is read again, as after a crash.
                if random.below(8) == 0 {
                    next[topic] -= next[topic].min(random.below(5) as usize);
                }
            }
        }
    }
    index.apply(batch).await.expect("works");
}

const CONDITIONS: [&str; 5] = [
    "attempts > 1 && tenant == 'acme'",
    "message.endsWith('1') || code == 'llm.timeout'",
    "age < duration('300m')",
    "state == 'open' && owner == ''",
    "redrives > 7",
];

fn condition(text: &str) -> Condition {
    Condition { expression: Expression::parse(text).expect(text), now: at(40 * 900_000) }
}

fn filters(random: &mut Random) -> Vec<Filter> {
    let mut filters = vec![Filter::default()];
    for _ in 0..25 {
        let mut filter = Filter::default();
        for _ in 0..=random.below(3) {
            match random.below(16) {
                0 => filter.code = random.name(&["llm", "llm.timeout", "parse", "llmx", "none"]),
                1 => filter.class = random.name(&["transient", "permanent"]),
                2 => filter.fingerprint = random.name(&["f0", "f1", "f2"]),
                3 => filter.tenant = random.name(&["acme", "beta", "nobody"]),
                4 => filter.job = random.name(&["job-1", "job-1/2", "job-7", "job"]),
                5 => filter.resource = random.name(&["a.pdf", "b.pdf"]),
                6 => filter.trace = random.name(&["t1", "t2"]),
                7 => filter.text = random.name(&["wreck 1", "REC", "of 1"]),
                8 => filter.since = Some(at(random.below(40) as i64 * 900_000)),
                9 => filter.until = Some(at(random.below(40) as i64 * 900_000)),
                10 => filter.looked_at = Some(random.below(2) == 0),
                12 => filter.condition = Some(condition(random.pick(&CONDITIONS))),
                13 => filter.kept = vec![random.pick(&Kept::ALL), random.pick(&Kept::ALL)],
                14 => filter.logged_before = Some(jiff::Timestamp::from_millisecond(6).expect("a time")),
                11 => filter.stage = random.name(&["parse", "embed"]),
                _ => filter.states = vec![random.pick(&State::ALL), random.pick(&State::ALL)],
            }
        }
        filters.push(filter);
    }
    filters
}

fn act_filters(random: &mut Random) -> Vec<ActFilter> {
    let mut filters = vec![ActFilter::default()];
    for _ in 0..20 {
        let mut filter = ActFilter::default();
        for _ in 0..=random.below(3) {
            match random.below(6) {
                0 => filter.letter = random.name(&["parse-1-0", "embed-2-1", "embed-7-2", "none"]),
                1 => filter.group = random.name(&["f0", "f1", "f9"]),
                2 => filter.operation = random.name(&["op-0", "op-3", "op"]),
                3 => filter.by = random.name(&["ada", "rule:night", "nobody"]),
                4 => filter.since = Some(at(random.below(40) as i64 * 900_000)),
                _ => filter.until = Some(at(random.below(40) as i64 * 900_000)),
            }
        }
        filters.push(filter);
    }
    filters
}

async fn the_same_records_in_any_order_give_the_same_answers(index: &Arc<dyn Quarantine>, seed: u64) {
    let mut random = Random(seed);
    let topics = topics(&mut random);
    let mut model = Model::default();
    for record in topics.iter().flatten() {
        match record {
            Record::Letter(entry) => model.entries.push((**entry).clone()),
            Record::Act(offset, act) => model.acts.push((*offset, (**act).clone())),
        }
    }
    let filters = filters(&mut random);
    let mut first: Option<String> = None;
    for _ in 0..4 {
        index.clear().await.expect("works");
        assert!(index.positions().await.expect("works").is_empty());
        read(&**index, &topics, &mut random).await;
        let told = answers(&**index).await;
        assert_eq!(first.get_or_insert_with(|| told.clone()), &told, "{seed}");
        for (n, topic) in topics.iter().enumerate() {
            let at = TopicPartition::new(format!("t{n}"), 0);
            assert_eq!(index.positions().await.expect("works").get(&at), Some(&(topic.len() as i64)));
        }
    }
    for filter in &filters {
        model.check(&**index, filter).await;
    }
    for filter in act_filters(&mut random) {
        model.check_acts(&**index, &filter).await;
    }
    let gone = BTreeMap::from([(TopicPartition::new("rag.embed.dlq", 1), 20)]);
    index.expire(gone.clone()).await.expect("works");
    model.gone = gone;
    model.check(&**index, &Filter::default()).await;
    model.check(&**index, &Filter { states: vec![State::Expired], ..Filter::default() }).await;
    for kept in Kept::ALL {
        model.check(&**index, &Filter { kept: vec![kept], ..Filter::default() }).await;
    }
}
