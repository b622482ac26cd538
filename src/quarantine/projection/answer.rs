//! Questions and their answers, whichever the database: what is counted is put in order and gets its names back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::heaps::{Heap, Heaps};
use super::looks::{Looks, looked_until};
use super::row::{self, NONE, Row, TOPIC, clean, time};
use super::scan::scan;
use super::shelf::Shelf;
use super::standing::resolved_at;
use super::stripes::Column;
use super::tally::{Bytes, Count, HOUR, Keys, Latest, Oldest, Shares, Sum, Trend};
use super::trends::Trends;
use super::wish::Wish;
use crate::quarantine::{
    Act, ActCursor, ActFilter, ActPage, Bucket, By, Cursor, Edition, Filter, Group, Known, Page, Remarks,
    Share, State, Stretch, Tokens, TokensOf, parcels,
};

/// Most letters, groups or values of one answer.
const ANSWER_MAX: usize = 1000;

pub async fn list<S: Shelf>(
    shelf: &mut S,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, S::Error> {
    let limit = limit.min(ANSWER_MAX);
    let Some(condition) = &filter.condition else { return page(shelf, filter, after, limit).await };
    // In the order of the list, so that no letter is held against it for every page again.
    let (mut found, mut after) = (Page::default(), after.cloned());
    loop {
        let page = page(shelf, filter, after.as_ref(), ANSWER_MAX).await?;
        for letter in page.letters.into_iter().filter(|letter| condition.holds(letter)) {
            if found.letters.len() == limit {
                found.next = found.letters.last().map(Cursor::behind);
                return Ok(found);
            }
            found.letters.push(letter);
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Whatever the condition of the filter says.
async fn page<S: Shelf>(
    shelf: &mut S,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, S::Error> {
    let mut wish = Wish::of(shelf, filter).await?;
    if let Some(after) = after {
        wish.begin_at(after);
    }
    // One more tells whether there is another page.
    let mut latest = Latest::new(limit + 1, after);
    scan(shelf, &wish, &mut latest).await?;
    let Latest { kept, mut ties, .. } = latest;
    ties.sort_unstable();
    let mut found: Vec<(i64, String, i64)> = Vec::new();
    if let Some(after) = after {
        let same = shelf.ids(&ties).await?.into_iter().filter(|(_, id)| *id > after.id);
        found.extend(same.map(|(key, id)| (after.died, id, key)));
    }
    let deaths: HashMap<i64, i64> = kept.iter().map(|(died, key)| (*key, *died)).collect();
    let mut keys: Vec<i64> = deaths.keys().copied().collect();
    keys.sort_unstable();
    for (key, id) in shelf.ids(&keys).await? {
        found.extend(deaths.get(&key).map(|died| (*died, id, key)));
    }
    found.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more);
    let next = next.map(|(died, id, _)| Cursor { died: *died, id: id.clone() });
    let keys: Vec<i64> = found.iter().map(|(_, _, key)| *key).collect();
    Ok(Page { letters: letters(shelf, &keys).await?, next })
}

pub async fn find<S: Shelf>(shelf: &mut S, prefix: &str) -> Result<Vec<Known>, S::Error> {
    let keys = shelf.beginning(&clean(prefix)).await?;
    letters(shelf, &keys).await
}

pub async fn acts<S: Shelf>(shelf: &mut S, id: &str) -> Result<Vec<Act>, S::Error> {
    shelf.acts_whole(&clean(id)).await
}

pub async fn audit<S: Shelf>(
    shelf: &mut S,
    filter: &ActFilter,
    after: Option<&ActCursor>,
    limit: usize,
) -> Result<ActPage, S::Error> {
    let limit = limit.min(ANSWER_MAX);
    let clean = |name: &Option<String>| name.as_deref().map(|name| clean(name).into_owned());
    let filter = ActFilter {
        letter: clean(&filter.letter),
        group: clean(&filter.group),
        operation: clean(&filter.operation),
        by: clean(&filter.by),
        ..filter.clone()
    };
    let start = || ActCursor { offset: i64::MAX, id: String::new() };
    // One more tells whether there is another page.
    let mut found = shelf.acts_before(&filter, &after.cloned().unwrap_or_else(start), limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|(place, _)| place.clone());
    Ok(ActPage { acts: found.into_iter().map(|(_, act)| act).collect(), next })
}

pub async fn count<S: Shelf>(shelf: &mut S, filter: &Filter) -> Result<u64, S::Error> {
    let wish = wish(shelf, filter).await?;
    let mut count = Count::default();
    scan(shelf, &wish, &mut count).await?;
    Ok(count.0)
}

pub async fn bytes<S: Shelf>(shelf: &mut S, filter: &Filter) -> Result<u64, S::Error> {
    let wish = wish(shelf, filter).await?;
    let mut bytes = Bytes::default();
    scan(shelf, &wish, &mut bytes).await?;
    Ok(bytes.0)
}

pub async fn trend<S: Shelf>(shelf: &mut S, filter: &Filter) -> Result<Vec<Bucket>, S::Error> {
    let wish = wish(shelf, filter).await?;
    let mut trend = Trend::default();
    scan(shelf, &wish, &mut trend).await?;
    Ok(trend.0.into_iter().map(|(hour, count)| Bucket { hour: time(hour * HOUR), count }).collect())
}

pub async fn trends<S: Shelf>(
    shelf: &mut S,
    filter: &Filter,
    stretch: &Stretch,
) -> Result<BTreeMap<String, Vec<u64>>, S::Error> {
    let within = Filter {
        since: Some(filter.since.map_or(stretch.from, |since| since.max(stretch.from))),
        until: Some(filter.until.map_or(stretch.to(), |until| until.min(stretch.to()))),
        ..filter.clone()
    };
    let wish = wish(shelf, &within).await?;
    let mut trends = Trends::over(*stretch);
    scan(shelf, &wish, &mut trends).await?;
    let print = Column::Fingerprint.name();
    let counts = trends.counts.into_iter().zip(0..).filter_map(|(counts, number)| Some((number, counts?)));
    let mut counts: HashMap<i64, Vec<u64>> =
        counts.map(|(number, counts)| (number, counts.into_vec())).collect();
    let names = names(shelf, counts.keys().map(|number| (print, *number))).await?;
    Ok(names.into_iter().filter_map(|((_, number), name)| Some((name, counts.remove(&number)?))).collect())
}

pub async fn oldest_record<S: Shelf>(shelf: &mut S, filter: &Filter) -> Result<Option<Timestamp>, S::Error> {
    let wish = wish(shelf, filter).await?;
    let mut oldest = Oldest(i64::MAX);
    scan(shelf, &wish, &mut oldest).await?;
    Ok(some_time(oldest.0))
}

/// What passes the filter, its condition included: letters are held against that one by one.
async fn wish<S: Shelf>(shelf: &mut S, filter: &Filter) -> Result<Wish, S::Error> {
    let mut wish = Wish::of(shelf, filter).await?;
    if let Some(condition) = &filter.condition {
        let mut all = Keys::default();
        scan(shelf, &wish, &mut all).await?;
        let mut keys = Vec::new();
        for some in all.0.chunks(ANSWER_MAX) {
            let held = some.iter().zip(letters(shelf, some).await?);
            keys.extend(held.filter(|(_, letter)| condition.holds(letter)).map(|(key, _)| *key));
        }
        keys.sort_unstable();
        wish.keys = Some(keys);
    }
    Ok(wish)
}

/// `i64::MAX` stands for none.
fn some_time(milliseconds: i64) -> Option<Timestamp> {
    (milliseconds != i64::MAX).then(|| time(milliseconds))
}

pub async fn group_acts<S: Shelf>(shelf: &mut S, fingerprint: &str) -> Result<Vec<Act>, S::Error> {
    let acts = shelf.acts_on_groups(&[clean(fingerprint).into_owned()]).await?;
    Ok(acts.into_iter().map(|(_, act)| act).collect())
}

/// Of values that are as great, the one with the later death comes first.
pub async fn shares<S: Shelf>(
    shelf: &mut S,
    filter: &Filter,
    by: By,
    limit: usize,
) -> Result<Vec<Share>, S::Error> {
    let wish = wish(shelf, filter).await?;
    let mut shares = Shares::by(by);
    scan(shelf, &wish, &mut shares).await?;
    let column = shares.column();
    let mut sums: Vec<(Sum, i64)> =
        shares.sums.into_iter().zip(0..).filter(|(sum, _)| sum.count > 0).collect();
    let order = |sum: &Sum| std::cmp::Reverse((sum.count, sum.last, sum.first));
    sums.sort_unstable_by_key(|(sum, _)| order(sum));
    cut(&mut sums, limit, |(sum, _)| order(sum));
    let names = match column {
        Column::State => BTreeMap::new(),
        column => names(shelf, sums.iter().map(|(_, number)| (column.name(), *number))).await?,
    };
    let value = |number: i64| match column {
        Column::State => Some(row::state(number).as_str().to_owned()),
        // What has an empty name has none.
        column => names.get(&(column.name(), number)).filter(|name| !name.is_empty()).cloned(),
    };
    let mut found: Vec<(Sum, i64, Option<String>)> =
        sums.into_iter().map(|(sum, number)| (sum, number, value(number))).collect();
    found.sort_by(|a, b| order(&a.0).cmp(&order(&b.0)).then_with(|| a.2.cmp(&b.2)));
    found.truncate(limit.min(ANSWER_MAX));
    let mut by_stage = by_stage(shelf, shares.tokens).await?;
    let share = |(sum, number, value): (Sum, i64, _)| {
        let by_stage = by_stage.remove(&number).unwrap_or_default();
        let tokens = by_stage.iter().fold(Tokens::default(), |sum, one| sum.plus(one.tokens));
        let (first, last) = (time(sum.first), time(sum.last));
        Share { value, count: sum.count, first, last, tokens: tokens.known(), by_stage }
    };
    Ok(found.into_iter().map(share).collect())
}

/// Tokens with the names of their stages, by the value.
async fn by_stage<S: Shelf>(
    shelf: &mut S,
    tokens: BTreeMap<(i64, i64, i64), Tokens>,
) -> Result<HashMap<i64, Vec<TokensOf>>, S::Error> {
    let (pipelines, stages) = (Column::Pipeline.name(), Column::Stage.name());
    let wanted = tokens.keys().flat_map(|(_, pipeline, stage)| [(pipelines, *pipeline), (stages, *stage)]);
    let names = names(shelf, wanted).await?;
    let name = |what, number| names.get(&(what, number)).cloned().unwrap_or_default();
    let mut found: HashMap<i64, Vec<TokensOf>> = HashMap::new();
    for ((value, pipeline, stage), tokens) in tokens {
        let (pipeline, stage) = (name(pipelines, pipeline), name(stages, stage));
        found.entry(value).or_default().push(TokensOf { pipeline, stage, tokens });
    }
    // Numbers of names depend on what was read first.
    found
        .values_mut()
        .for_each(|all| all.sort_by(|a, b| (&a.pipeline, &a.stage).cmp(&(&b.pipeline, &b.stage))));
    Ok(found)
}

/// Cuts a list, but not between those that are equal so far.
fn cut<T, K: PartialEq>(list: &mut Vec<T>, limit: usize, key: impl Fn(&T) -> K) {
    let limit = limit.min(ANSWER_MAX);
    let Some(last) = limit.checked_sub(1).and_then(|last| list.get(last)).map(&key) else {
        return list.truncate(limit);
    };
    let equal = list.iter().skip(limit).take_while(|one| key(one) == last).count();
    list.truncate(limit + equal);
}

pub async fn groups<S: Shelf>(shelf: &mut S, filter: &Filter, limit: usize) -> Result<Vec<Group>, S::Error> {
    let wish = wish(shelf, filter).await?;
    let mut heaps = Heaps::of(Looks::of_all(shelf).await?);
    scan(shelf, &wish, &mut heaps).await?;
    let mut heaps: Vec<(Heap, i64)> =
        heaps.heaps.into_iter().zip(0..).filter_map(|(heap, number)| Some((*heap?, number))).collect();
    let order = |heap: &Heap| std::cmp::Reverse(heap.sum.last);
    heaps.sort_unstable_by_key(|(heap, _)| order(heap));
    cut(&mut heaps, limit, |(heap, _)| order(heap));
    let print = Column::Fingerprint.name();
    let names = names(shelf, heaps.iter().map(|(_, number)| (print, *number))).await?;
    let mut named: Vec<(String, Heap)> = Vec::with_capacity(heaps.len());
    for (heap, number) in heaps {
        let name =
            names.get(&(print, number)).cloned().ok_or_else(|| shelf.damaged("a group without a name"))?;
        named.push((name, heap));
    }
    named.sort_by(|a, b| order(&a.1).cmp(&order(&b.1)).then_with(|| a.0.cmp(&b.0)));
    named.truncate(limit.min(ANSWER_MAX));
    with_latest(shelf, named).await
}

/// Groups with what their latest letters say, and with what people said of them.
async fn with_latest<S: Shelf>(shelf: &mut S, heaps: Vec<(String, Heap)>) -> Result<Vec<Group>, S::Error> {
    let mut ties: Vec<i64> = heaps
        .iter()
        .filter(|(_, heap)| heap.latest.len() > 1)
        .flat_map(|(_, heap)| heap.latest.clone())
        .collect();
    ties.sort_unstable();
    let ids: HashMap<i64, String> = shelf.ids(&ties).await?.into_iter().collect();
    let first = |heap: &Heap| heap.latest.iter().copied().min_by_key(|key| ids.get(key)).unwrap_or_default();
    let keys: Vec<i64> = heaps.iter().map(|(_, heap)| first(heap)).collect();
    let latest = bare_letters(shelf, &keys).await?;
    let prints: Vec<String> = heaps.iter().map(|(print, _)| print.clone()).collect();
    let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
    for (print, act) in shelf.acts_on_groups(&prints).await? {
        acts.entry(print).or_default().push(act);
    }
    let group = |((fingerprint, heap), Known { entry, .. }): ((String, Heap), Known)| {
        let acts = acts.get(&fingerprint).map(Vec::as_slice).unwrap_or_default();
        let resolved_at = resolved_at(acts);
        let states = State::ALL.into_iter().zip(heap.states).filter(|(_, count)| *count > 0).collect();
        let last = time(heap.sum.last);
        Group {
            pipeline: entry.pipeline,
            stage: entry.stage,
            code: entry.code,
            class: entry.class,
            message: entry.message,
            count: heap.sum.count,
            states,
            first: time(heap.sum.first),
            last,
            tenants: heap.tenants(),
            resources: heap.resources(),
            bytes: heap.bytes,
            tokens: heap.tokens.known(),
            oldest_open: some_time(heap.oldest_open),
            oldest_unseen: some_time(heap.oldest_unseen),
            oldest_record: some_time(heap.oldest_record),
            remarks: Remarks::of(acts),
            resolved_at,
            regressed: resolved_at.is_some_and(|resolved| resolved < last),
            fingerprint,
        }
    };
    Ok(heaps.into_iter().zip(latest).map(group).collect())
}

async fn names<S: Shelf>(
    shelf: &mut S,
    wanted: impl Iterator<Item = (&'static str, i64)>,
) -> Result<BTreeMap<(&'static str, i64), String>, S::Error> {
    let wanted: BTreeSet<(&'static str, i64)> = wanted.filter(|(_, number)| *number != NONE).collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    Ok(shelf.names(&wanted).await?.into_iter().map(|(what, number, name)| ((what, number), name)).collect())
}

/// The letters with these ids, in any order.
pub async fn letters_of<S: Shelf>(shelf: &mut S, ids: &[String]) -> Result<Vec<Known>, S::Error> {
    let ids: Vec<String> = ids.iter().map(|id| clean(id).into_owned()).collect();
    let keys: Vec<i64> = shelf.by_id(&ids).await?.into_iter().map(|row| row.key).collect();
    letters(shelf, &keys).await
}

/// The letters with these keys, in this order.
async fn letters<S: Shelf>(shelf: &mut S, keys: &[i64]) -> Result<Vec<Known>, S::Error> {
    let mut letters = bare_letters(shelf, keys).await?;
    let prints: BTreeSet<&String> = letters.iter().map(|known| &known.entry.fingerprint).collect();
    let prints: Vec<String> = prints.into_iter().cloned().collect();
    let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
    for (print, act) in shelf.acts_on_groups(&prints).await? {
        acts.entry(print).or_default().push(act);
    }
    let until: HashMap<String, Option<i64>> =
        acts.into_iter().map(|(print, acts)| (print, looked_until(&acts))).collect();
    for Known { entry, looked_at, .. } in &mut letters {
        let until = until.get(&entry.fingerprint).copied().flatten();
        *looked_at |= Some(entry.last_failure.as_millisecond()) <= until;
    }
    Ok(letters)
}

/// The same without what was done with their groups.
async fn bare_letters<S: Shelf>(shelf: &mut S, keys: &[i64]) -> Result<Vec<Known>, S::Error> {
    const NAMED: [Column; 11] = [
        Column::Pipeline,
        Column::Stage,
        Column::Code,
        Column::Class,
        Column::Fingerprint,
        Column::Tenant,
        Column::Resource,
        Column::Feature,
        Column::Model,
        Column::Producer,
        Column::Version,
    ];
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let mut rows: HashMap<i64, Row> =
        shelf.by_key(&sorted).await?.into_iter().map(|row| (row.key, row)).collect();
    let of = |row: &Row| NAMED.map(|column| (column.name(), row.facts.get(column)));
    let wanted: Vec<_> =
        rows.values().flat_map(|row| of(row).into_iter().chain([(TOPIC, row.topic)])).collect();
    let names = names(shelf, wanted.into_iter()).await?;
    let messages: BTreeSet<i64> = rows.values().map(|row| row.facts.get(Column::Message)).collect();
    let messages: Vec<i64> = messages.into_iter().collect();
    let messages: HashMap<i64, String> = shelf.messages(&messages).await?.into_iter().collect();
    let ids: Vec<String> = rows.values().map(|row| row.id.clone()).collect();
    let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
    for (letter, act) in shelf.acts_on(&ids).await? {
        acts.entry(letter).or_default().push(act);
    }
    let mut letters = Vec::with_capacity(keys.len());
    for key in keys {
        let row = rows.remove(key).ok_or_else(|| shelf.damaged("a letter that is counted and not there"))?;
        let message = messages.get(&row.facts.get(Column::Message)).cloned().unwrap_or_default();
        let name = |what: &'static str, number: i64| names.get(&(what, number)).cloned();
        let letter = row::known(row, message, name);
        let letter = letter.ok_or_else(|| shelf.damaged("a letter that cannot be read"))?;
        let acts = acts.get(&letter.entry.id).map(Vec::as_slice).unwrap_or_default();
        let archived = parcels(acts).pop().cloned().map(Box::new);
        let (remarks, edit) = (Remarks::of(acts), Edition::of(acts));
        letters.push(Known { remarks, archived, edit, ..letter });
    }
    Ok(letters)
}
