//! Takes records in: what was read of letters and acts becomes rows, numbers and states. The same records give the same
//! rows in whatever batches they come, and whichever topic is read first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::restate::{RESTATED, patch, restate};
use super::row::{self, Name, Row, Subject, TOPIC, clean, whole};
use super::runs;
use super::shelf::{Noted, Shelf, Stripe};
use super::stripes::{Column, Packed, STRIPE};
use crate::quarantine::{Act, Batch, Deed, Entry};

/// Other masking rules: what is there was taken in by those before, and is forgotten. Whether they are others.
pub async fn adopt<S: Shelf>(shelf: &mut S, rules: &str) -> Result<bool, S::Error> {
    if shelf.rules().await? == rules {
        return Ok(false);
    }
    shelf.clear().await?;
    shelf.put_rules(rules).await?;
    Ok(true)
}

/// The whole batch, in the transaction that the shelf is. False, and nothing of it, when it is by other masking rules.
pub async fn take<S: Shelf>(shelf: &mut S, batch: &Batch) -> Result<bool, S::Error> {
    if shelf.rules().await? != batch.rules {
        return Ok(false);
    }
    let acted = note(shelf, &batch.acts).await?;
    let letters = last_copies(&batch.entries);
    let ids: BTreeSet<String> = letters.iter().map(|(id, _)| id.clone()).chain(acted).collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let before = shelf.next_key().await?;
    let mut known: HashMap<String, Row> =
        shelf.by_id(&ids).await?.into_iter().map(|row| (row.id.clone(), row)).collect();

    let wanted = match batch.gone {
        false => unknown_or_later(shelf, letters, &known).await?,
        true => {
            letters.into_iter().filter(|(id, _)| !known.contains_key(id)).map(|(_, entry)| entry).collect()
        }
    };
    let mut arrived = rows(shelf, &wanted, before, &known).await?;
    arrived.iter_mut().for_each(|row| row.gone = batch.gone);
    // A copy that stands later than the one that is known, or whose place that has lost, takes its place and its key.
    let moved: Vec<Row> = arrived.iter().filter_map(|row| known.remove(&row.id)).collect();
    let mut touched: BTreeMap<i64, Row> = known.into_values().map(|row| (row.key, row)).collect();
    let died_again = follow(shelf, &mut arrived, &mut touched, &moved).await?;

    let originals: Vec<Row> = touched.values().cloned().collect();
    let mut touched: Vec<Row> = touched.into_values().collect();
    restate(shelf, &mut arrived).await?;
    restate(shelf, &mut touched).await?;
    let changed: Vec<Row> = touched
        .into_iter()
        .zip(&originals)
        .filter(|(now, then)| now.facts != then.facts || died_again.contains(&now.key))
        .map(|(now, _)| now)
        .collect();

    shelf.remove(&moved.iter().map(|row| row.key).collect::<Vec<_>>()).await?;
    shelf.insert(&arrived).await?;
    shelf.restate(&changed).await?;
    patch(shelf, &RESTATED, before, changed.iter()).await?;
    patch(shelf, &Column::ALL, before, arrived.iter().filter(|row| row.key < before)).await?;
    seal(shelf, before).await?;
    shelf.advance(&batch.positions).await?;
    Ok(true)
}

/// Of each letter the copy that stands last, in the order in which they came: Kafka deletes it last.
fn last_copies(entries: &[Entry]) -> Vec<(String, &Entry)> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    let mut lasts: Vec<(String, &Entry)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = clean(&entry.id).into_owned();
        match places.get(&id).and_then(|n| lasts.get_mut(*n)) {
            None => {
                places.insert(id.clone(), lasts.len());
                lasts.push((id, entry));
            }
            Some((_, last)) if place(entry) > place(last) => *last = entry,
            Some(_) => {}
        }
    }
    lasts
}

fn place(entry: &Entry) -> (&str, i32, i64) {
    (&entry.at.topic, entry.at.partition, entry.at.offset)
}

/// Those that are new, or stand later than what is known of them, or stand somewhere when that is gone.
async fn unknown_or_later<'a, S: Shelf>(
    shelf: &mut S,
    letters: Vec<(String, &'a Entry)>,
    known: &HashMap<String, Row>,
) -> Result<Vec<&'a Entry>, S::Error> {
    let topics: BTreeSet<i64> = known.values().map(|row| row.topic).collect();
    let topics: Vec<_> = topics.into_iter().map(|topic| (TOPIC, topic)).collect();
    let topics: HashMap<i64, String> =
        shelf.names(&topics).await?.into_iter().map(|(_, number, name)| (number, name)).collect();
    let stands_last = |(id, entry): &(String, &Entry)| {
        let Some(row) = known.get(id).filter(|row| !row.gone) else { return true };
        let topic = topics.get(&row.topic).map_or("", String::as_str);
        let (new_topic, partition, offset) = place(entry);
        (&*clean(new_topic), partition, offset) > (topic, row.partition, row.offset)
    };
    Ok(letters.into_iter().filter(stands_last).map(|(_, entry)| entry).collect())
}

/// Rows of entries, the new ones with keys from this one on.
async fn rows<S: Shelf>(
    shelf: &mut S,
    entries: &[&Entry],
    mut key: i64,
    known: &HashMap<String, Row>,
) -> Result<Vec<Row>, S::Error> {
    let mut names: BTreeSet<Name> = BTreeSet::new();
    let mut messages: BTreeSet<String> = BTreeSet::new();
    for entry in entries {
        names.extend(row::names(entry).into_iter().map(|(_, name)| name));
        names.insert(Name::of(TOPIC, &entry.at.topic));
        messages.insert(whole(&entry.message).into_owned());
    }
    let names: Vec<Name> = names.into_iter().collect();
    let numbers: HashMap<&Name, i64> = names.iter().zip(shelf.number(&names).await?).collect();
    let messages: Vec<String> = messages.into_iter().collect();
    let numbered: HashMap<&str, i64> =
        messages.iter().map(String::as_str).zip(shelf.number_messages(&messages).await?).collect();

    let mut made = Vec::with_capacity(entries.len());
    for entry in entries {
        let message = numbered.get(&*whole(&entry.message)).copied().unwrap_or(row::NONE);
        let number = |name: &Name| numbers.get(name).copied().unwrap_or(row::NONE);
        let mut row = row::row(entry, key, message, number);
        match known.get(&row.id) {
            Some(known) => row.key = known.key,
            None => key += 1,
        }
        made.push(row);
    }
    Ok(made)
}

/// Keeps acts; the letters that they are about.
async fn note<S: Shelf>(shelf: &mut S, acts: &[(i64, Act)]) -> Result<BTreeSet<String>, S::Error> {
    let mut firsts: BTreeMap<String, (i64, &Act)> = BTreeMap::new();
    for (offset, act) in acts {
        let first = firsts.entry(clean(&act.id).into_owned()).or_insert((*offset, act));
        if *offset < first.0 {
            *first = (*offset, act);
        }
    }
    let noted: Vec<Noted> = firsts.into_iter().map(|(id, (offset, act))| noted(id, offset, act)).collect();
    let news = shelf.note(&noted).await?;
    let lists = noted.iter().filter_map(|noted| Some((noted.run.as_deref()?, noted.enlisted.as_ref()?)));
    let lists: Vec<_> = lists.map(|(run, (from, ids))| (run, *from, ids.as_slice())).collect();
    shelf.enlist(&lists).await?;
    let heard: BTreeSet<String> = noted.iter().filter_map(|noted| noted.run.clone()).collect();
    runs::restate(shelf, heard.into_iter().collect()).await?;
    let news = noted.into_iter().zip(news).filter(|(_, is_new)| *is_new);
    Ok(news.flat_map(|(noted, _)| noted.letters).collect())
}

fn noted(id: String, offset: i64, act: &Act) -> Noted {
    let run = || Some(clean(&act.operation).into_owned());
    let (run, enlisted, deed) = match &act.deed {
        Deed::Enlisted { from, ids } => {
            let ids = ids.iter().map(|id| clean(id).into_owned()).collect();
            let bare = Deed::Enlisted { from: *from, ids: Vec::new() };
            (run(), Some((i64::try_from(*from).unwrap_or(i64::MAX), ids)), bare)
        }
        Deed::Edited { edit } => (None, None, Deed::Edited { edit: Box::new(edit.bare(offset)) }),
        deed => (deed.is_of_run().then(run).flatten(), None, deed.clone()),
    };
    let bare = Act { letters: Vec::new(), deed, ..act.clone() };
    let letters: BTreeSet<String> = act.letters.iter().map(|id| clean(id).into_owned()).collect();
    Noted {
        offset,
        id,
        // Texts do not fail to be written.
        act: serde_json::to_string(&bare).unwrap_or_default(),
        all: serde_json::to_string(&act.letters).unwrap_or_default(),
        letters: letters.into_iter().collect(),
        group: act.group.as_deref().map(|group| clean(group).into_owned()),
        run,
        object: act.deed.object().map(|object| clean(object).into_owned()),
        enlisted,
        operation: clean(&act.operation).into_owned(),
        by: clean(&act.by).into_owned(),
        at: act.at.as_millisecond(),
    }
}

/// Finds out whose job died again. Letters that are known and of which that is new come to those that are touched; their
/// keys.
async fn follow<S: Shelf>(
    shelf: &mut S,
    arrived: &mut [Row],
    touched: &mut BTreeMap<i64, Row>,
    moved: &[Row],
) -> Result<BTreeSet<i64>, S::Error> {
    let mut died_again = BTreeSet::new();
    let mut most: BTreeMap<Subject, i64> = BTreeMap::new();
    for row in arrived.iter() {
        let most = most.entry(row.subject()).or_insert(row.redrives);
        *most = row.redrives.max(*most);
    }
    let subjects: Vec<Subject> = most.keys().cloned().collect();
    let earlier = shelf.most_redriven(&subjects).await?;
    for ((subject, most), earlier) in most.iter_mut().zip(earlier) {
        let Some(earlier) = earlier else { continue };
        if earlier < *most {
            // All that were redriven less often were followed already.
            for row in shelf.of_subject(subject, Some(earlier)).await? {
                died_again.insert(row.key);
                touched.entry(row.key).or_insert(row).again = true;
            }
        }
        *most = earlier.max(*most);
    }
    for row in arrived.iter_mut() {
        row.again = most.get(&row.subject()).is_some_and(|most| row.redrives < *most);
    }
    // A letter that was moved is not one of those that stay.
    for row in moved {
        touched.remove(&row.key);
    }
    Ok(died_again)
}

/// Makes stripes of those that have become full.
async fn seal<S: Shelf>(shelf: &mut S, before: i64) -> Result<(), S::Error> {
    let size = STRIPE as i64;
    for stripe in before / size..shelf.next_key().await? / size {
        let rows = shelf.facts_from(stripe * size, STRIPE).await?;
        let column = |column: Column| {
            let values: Vec<i64> = rows.iter().map(|(_, facts)| facts.get(column)).collect();
            Stripe { stripe, column, packed: Packed::of(&values) }
        };
        let columns: Vec<Stripe> = Column::ALL.into_iter().map(column).collect();
        shelf.put_stripes(&columns).await?;
    }
    Ok(())
}
