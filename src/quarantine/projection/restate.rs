//! States of letters, whenever something was learnt that they depend on, and what expires.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::row::{Name, Row, number};
use super::shelf::{Shelf, Stripe};
use super::standing::Standing;
use super::stripes::{Column, Packed, STRIPE};
use crate::message::TopicPartition;
use crate::quarantine::{Act, State};

/// Letters that expire in one transaction.
pub const EXPIRED_MAX: usize = if cfg!(test) { 5 } else { 4096 };

/// Gives rows the state, code and class, and whether somebody looked at them, that follow from the acts on them and from what is known besides.
pub async fn restate<S: Shelf>(shelf: &mut S, rows: &mut [Row]) -> Result<(), S::Error> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
    for (letter, act) in shelf.acts_on(&ids).await? {
        acts.entry(letter).or_default().push(act);
    }
    let mut standings = Vec::with_capacity(rows.len());
    let mut names = BTreeSet::new();
    for row in rows.iter() {
        let acts = acts.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let standing = Standing::of(acts, row.again, row.gone);
        let verdict = standing.verdict.map(|(code, class)| {
            (Name::of(Column::Code.name(), &code), Name::of(Column::Class.name(), &class))
        });
        names.extend(verdict.iter().flat_map(|(code, class)| [code.clone(), class.clone()]));
        standings.push((standing.state, standing.looked_at, standing.kept, verdict));
    }
    let names: Vec<Name> = names.into_iter().collect();
    let numbers: HashMap<&Name, i64> = names.iter().zip(shelf.number(&names).await?).collect();
    for (row, (state, looked_at, kept, verdict)) in rows.iter_mut().zip(&standings) {
        row.facts.set(Column::State, number(*state));
        row.facts.set(Column::Looked, i64::from(*looked_at));
        row.facts.set(Column::Kept, *kept as i64);
        let Some((code, class)) = verdict else { continue };
        for (column, name) in [(Column::Code, code), (Column::Class, class)] {
            if let Some(number) = numbers.get(name) {
                row.facts.set(column, *number);
            }
        }
    }
    Ok(())
}

/// What becomes another when something is done with a letter.
pub const RESTATED: [Column; 5] = [Column::State, Column::Code, Column::Class, Column::Looked, Column::Kept];

/// Brings these columns of the stripes up to what these rows are now. Those that had no key before this one are in none.
pub async fn patch<S: Shelf>(
    shelf: &mut S,
    columns: &[Column],
    before: i64,
    rows: impl Iterator<Item = &Row>,
) -> Result<(), S::Error> {
    let size = STRIPE as i64;
    let full = before / size;
    let mut by_stripe: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    for row in rows.filter(|row| row.key / size < full) {
        by_stripe.entry(row.key / size).or_default().push(row);
    }
    for (stripe, rows) in by_stripe {
        let mut changed = Vec::new();
        for Stripe { column, packed, .. } in shelf.stripes(&[stripe], columns).await? {
            let mut values = packed.unpack().ok_or_else(|| shelf.damaged("a stripe of another length"))?;
            let mut is_other = false;
            for row in &rows {
                let place = usize::try_from(row.key % size).unwrap_or_default();
                let Some(value) = values.get_mut(place) else { continue };
                is_other |= *value != row.facts.get(column);
                *value = row.facts.get(column);
            }
            if is_other {
                changed.push(Stripe { stripe, column, packed: Packed::of(&values) });
            }
        }
        shelf.put_stripes(&changed).await?;
    }
    Ok(())
}

/// Some of the letters below this offset are gone from now on. How many were looked at, and how many of them expired:
/// when as many were looked at as may be, there can be more.
pub async fn expire<S: Shelf>(
    shelf: &mut S,
    partition: &TopicPartition,
    offset: i64,
) -> Result<(usize, u64), S::Error> {
    let mut rows = shelf.standing_below(partition, offset, EXPIRED_MAX).await?;
    rows.iter_mut().for_each(|row| row.gone = true);
    restate(shelf, &mut rows).await?;
    shelf.restate(&rows).await?;
    let before = shelf.next_key().await?;
    patch(shelf, &RESTATED, before, rows.iter()).await?;
    let expired = rows.iter().filter(|row| row.state() == State::Expired).count();
    Ok((rows.len(), expired as u64))
}
