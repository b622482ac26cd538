//! What the answers must be, found out the slow way: all records are kept in lists, and every question goes through all.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Act, ActFilter, By, Entry, Filter, Group, Known, Quarantine, Share, State, Stretch, Tokens, TokensOf,
    all, at, audit,
};
use crate::message::{Spent, TopicPartition};
use crate::quarantine::{Bucket, Deed, Edition, Kept, Remarks, parcels};

/// Every record that was read, in any order.
#[derive(Clone, Default)]
pub struct Model {
    pub entries: Vec<Entry>,
    pub acts: Vec<(i64, Act)>,
    pub gone: BTreeMap<TopicPartition, i64>,
}

impl Model {
    fn acts_in_order(&self) -> Vec<&Act> {
        let mut acts: Vec<&(i64, Act)> = self.acts.iter().collect();
        acts.sort_by_key(|(offset, act)| (*offset, act.id.clone()));
        let mut seen = BTreeSet::new();
        acts.into_iter().filter(|(_, act)| seen.insert(&act.id)).map(|(_, act)| act).collect()
    }

    /// The letters as they must be, the latest death first.
    pub fn letters(&self) -> Vec<Known> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| (entry.at.topic.clone(), entry.at.partition, entry.at.offset));
        entries.reverse();
        let mut seen = BTreeSet::new();
        entries.retain(|entry| seen.insert(&entry.id));
        let acts = self.acts_in_order();
        let known = |entry: &Entry| {
            let mut entry = entry.clone();
            let acts: Vec<&Act> =
                acts.iter().copied().filter(|act| act.letters.contains(&entry.id)).collect();
            for act in &acts {
                if let Deed::Reclassified { code, class } = &act.deed {
                    (entry.code, entry.class) = (code.clone(), class.clone());
                }
            }
            let again = entries.iter().any(|e| e.subject() == entry.subject() && e.redrives > entry.redrives);
            let place = TopicPartition::new(entry.at.topic.clone(), entry.at.partition);
            let gone = self.gone.get(&place).is_some_and(|first| entry.at.offset < *first);
            let looked_at = acts.iter().any(|act| act.is_by_person()) || self.looked_at(&entry);
            let state = State::of(acts.iter().copied(), again, gone);
            let parcel = parcels(acts.iter().copied()).pop().cloned().map(Box::new);
            let kept = Kept::of(gone, parcel.is_some());
            let edit = Edition::of(acts.iter().copied());
            Known { state, looked_at, entry, remarks: remarks(&acts), kept, archived: parcel, edit }
        };
        let mut letters: Vec<Known> = entries.iter().map(|entry| known(entry)).collect();
        letters.sort_by(|a, b| {
            let died = |known: &Known| known.entry.last_failure;
            died(b).cmp(&died(a)).then_with(|| a.entry.id.cmp(&b.entry.id))
        });
        letters
    }

    /// A person did something with the group, and it was not said to be resolved between that and the death.
    fn looked_at(&self, entry: &Entry) -> bool {
        let acts = self.acts_in_order();
        let mut acts = acts.iter().rev().filter(|act| act.group.as_ref() == Some(&entry.fingerprint));
        let last = acts.find(|act| act.is_by_person() || act.deed == Deed::Resolved);
        last.is_some_and(|act| act.deed != Deed::Resolved || entry.last_failure <= act.at)
    }

    /// Compares every answer about what passes.
    pub async fn check(&self, index: &dyn Quarantine, filter: &Filter) {
        let letters: Vec<Known> = self.letters().into_iter().filter(|known| filter.matches(known)).collect();
        let told = format!("{filter:?}");
        assert_eq!(all(index, filter, 7).await, letters, "{told}");
        assert_eq!(index.count(filter).await.expect("works"), letters.len() as u64, "{told}");
        assert_eq!(index.groups(filter, 1000).await.expect("works"), self.groups(&letters), "{told}");
        for by in BYS {
            let shares = index.shares(filter, by, 1000).await.expect("works");
            assert_eq!(shares, self::shares(&letters, by), "{told} {by:?}");
        }
        assert_eq!(index.trend(filter).await.expect("works"), trend(&letters), "{told}");
        for stretch in [Stretch::of_hours(at(20_000_000), 5), Stretch::between(at(900_000), at(9_000_001), 7)]
        {
            let trends = index.trends(filter, &stretch).await.expect("works");
            assert_eq!(trends, self::trends(&letters, &stretch), "{told} {stretch:?}");
        }
        let bytes = letters.iter().map(|known| known.entry.size).sum::<u64>();
        assert_eq!(index.bytes(filter).await.expect("works"), bytes, "{told}");
        let oldest = letters.iter().map(|known| known.entry.logged()).min();
        let oldest = oldest.map(|logged| jiff::Timestamp::from_millisecond(logged).expect("a time"));
        assert_eq!(index.oldest_record(filter).await.expect("works"), oldest, "{told}");
    }

    /// Compares the acts that pass.
    pub async fn check_acts(&self, index: &dyn Quarantine, filter: &ActFilter) {
        let mut acts = self.acts_in_order();
        acts.reverse();
        acts.retain(|act| filter.matches(act));
        for size in [3, 1000] {
            assert_eq!(audit(index, filter, size).await.iter().collect::<Vec<_>>(), acts, "{filter:?}");
        }
    }

    fn groups(&self, letters: &[Known]) -> Vec<Group> {
        let mut groups: BTreeMap<&str, Vec<&Known>> = BTreeMap::new();
        for known in letters {
            groups.entry(&known.entry.fingerprint).or_default().push(known);
        }
        let mut groups: Vec<Group> = groups.into_values().map(|letters| self.group(&letters)).collect();
        groups.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
        groups
    }

    fn group(&self, letters: &[&Known]) -> Group {
        let latest = &letters[0].entry;
        let acts = self.acts_in_order();
        let acts: Vec<&Act> =
            acts.into_iter().filter(|act| act.group.as_ref() == Some(&latest.fingerprint)).collect();
        let resolved_at = acts.iter().rev().find(|act| act.deed == Deed::Resolved).map(|act| act.at);
        let states = State::ALL
            .into_iter()
            .map(|state| (state, letters.iter().filter(|known| known.state == state).count() as u64));
        let open = || letters.iter().filter(|known| [State::Open, State::Redriving].contains(&known.state));
        let resources: BTreeSet<_> =
            letters.iter().filter_map(|known| known.entry.resource.as_ref()).collect();
        let tenants: BTreeSet<_> = letters.iter().filter_map(|known| known.entry.tenant.as_ref()).collect();
        Group {
            fingerprint: latest.fingerprint.clone(),
            pipeline: latest.pipeline.clone(),
            stage: latest.stage.clone(),
            code: latest.code.clone(),
            class: latest.class.clone(),
            message: latest.message.clone(),
            count: letters.len() as u64,
            states: states.filter(|(_, count)| *count > 0).collect(),
            first: letters.iter().map(|known| known.entry.last_failure).min().expect("one"),
            last: latest.last_failure,
            tenants: tenants.len() as u64,
            resources: resources.len() as u64,
            bytes: letters.iter().map(|known| known.entry.size).sum(),
            tokens: tokens(letters.iter().copied()),
            oldest_open: open().map(|known| known.entry.last_failure).min(),
            oldest_unseen: open()
                .filter(|known| !known.looked_at)
                .map(|known| known.entry.last_failure)
                .min(),
            oldest_record: letters
                .iter()
                .filter(|known| known.state == State::Open && known.kept == Kept::Kafka)
                .map(|known| known.entry.logged())
                .min()
                .map(|logged| jiff::Timestamp::from_millisecond(logged).expect("a time")),
            remarks: remarks(&acts),
            resolved_at,
            regressed: resolved_at.is_some_and(|resolved| latest.last_failure > resolved),
        }
    }
}

/// The last word on each thing, unless it is none.
fn remarks(acts: &[&Act]) -> Remarks {
    let last = |said: fn(&Deed) -> Option<&String>| {
        acts.iter().rev().find_map(|act| said(&act.deed)).filter(|text| !text.is_empty()).cloned()
    };
    Remarks {
        note: last(|deed| if let Deed::Noted { text } = deed { Some(text) } else { None }),
        owner: last(|deed| if let Deed::Assigned { owner } = deed { Some(owner) } else { None }),
        ticket: last(|deed| if let Deed::Linked { ticket } = deed { Some(ticket) } else { None }),
    }
}

const BYS: [By; 10] = [
    By::Tenant,
    By::Resource,
    By::Feature,
    By::Model,
    By::Producer,
    By::Version,
    By::Code,
    By::Class,
    By::Stage,
    By::State,
];

fn value(known: &Known, by: By) -> Option<String> {
    let entry = &known.entry;
    let value = match by {
        By::Tenant => entry.tenant.clone(),
        By::Resource => entry.resource.clone(),
        By::Feature => entry.feature.clone(),
        By::Model => entry.model.clone(),
        By::Producer => entry.producer.clone(),
        By::Version => entry.revision.clone(),
        By::Code => Some(entry.code.clone()),
        By::Class => Some(entry.class.clone()),
        By::Stage => Some(entry.stage.clone()),
        By::State => Some(known.state.as_str().to_owned()),
    };
    value.filter(|value| !value.is_empty())
}

/// What is known of tokens.
fn tokens<'a>(letters: impl Iterator<Item = &'a Known>) -> Option<Tokens> {
    let known: Vec<_> = letters.filter_map(|known| known.entry.spent).collect();
    let sum = |of: fn(&Spent) -> u64| known.iter().map(of).sum();
    let (input, output) = (sum(|spent| spent.input), sum(|spent| spent.output));
    (!known.is_empty()).then_some(Tokens { input, output, letters: known.len() as u64 })
}

fn by_stage(letters: &[&Known]) -> Vec<TokensOf> {
    let stage = |known: &Known| (known.entry.pipeline.clone(), known.entry.stage.clone());
    let stages: BTreeSet<_> = letters.iter().map(|known| stage(known)).collect();
    let of = |(pipeline, name): (String, String)| {
        let there = |known: &&Known| stage(known) == (pipeline.clone(), name.clone());
        let tokens = tokens(letters.iter().copied().filter(there))?;
        Some(TokensOf { pipeline, stage: name, tokens })
    };
    stages.into_iter().filter_map(of).collect()
}

fn shares(letters: &[Known], by: By) -> Vec<Share> {
    let mut shares: BTreeMap<Option<String>, Share> = BTreeMap::new();
    for known in letters {
        let (value, died) = (value(known, by), known.entry.last_failure);
        let those: Vec<&Known> = letters.iter().filter(|one| self::value(one, by) == value).collect();
        let (tokens, by_stage) = (tokens(those.iter().copied()), by_stage(&those));
        let empty = || Share { value: value.clone(), count: 0, first: died, last: died, tokens, by_stage };
        let share = shares.entry(value.clone()).or_insert_with(empty);
        share.count += 1;
        (share.first, share.last) = (share.first.min(died), share.last.max(died));
    }
    let mut shares: Vec<Share> = shares.into_values().collect();
    shares.sort_by(|a, b| {
        (b.count, b.last, b.first).cmp(&(a.count, a.last, a.first)).then_with(|| a.value.cmp(&b.value))
    });
    shares
}

fn trends(letters: &[Known], stretch: &Stretch) -> BTreeMap<String, Vec<u64>> {
    let mut trends: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for Known { entry, .. } in letters {
        let since = entry.last_failure.as_millisecond() - stretch.from.as_millisecond();
        if since < 0 || since >= stretch.part_ms * stretch.parts as i64 {
            continue;
        }
        let counts = trends.entry(entry.fingerprint.clone()).or_insert_with(|| vec![0; stretch.parts]);
        counts[(since / stretch.part_ms) as usize] += 1;
    }
    trends
}

fn trend(letters: &[Known]) -> Vec<Bucket> {
    let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
    for known in letters {
        *hours.entry(known.entry.last_failure.as_millisecond().div_euclid(3_600_000)).or_default() += 1;
    }
    let hour = |hour: i64| jiff::Timestamp::from_millisecond(hour * 3_600_000).expect("a time");
    hours.into_iter().map(|(n, count)| Bucket { hour: hour(n), count }).collect()
}

/// Everything that can be asked about everything, as text.
pub async fn answers(index: &dyn Quarantine) -> String {
    let filter = Filter::default();
    let letters = all(index, &filter, 1000).await;
    let groups = index.groups(&filter, 1000).await.expect("works");
    let trend = index.trend(&filter).await.expect("works");
    let mut told = format!("{letters:#?}\n{groups:#?}\n{trend:#?}\n");
    for by in BYS {
        told += &format!("{by:?} {:#?}\n", index.shares(&filter, by, 1000).await.expect("works"));
    }
    for known in &letters {
        told += &format!("{} {:?}\n", known.entry.id, index.acts(&known.entry.id).await.expect("works"));
    }
    told
}
