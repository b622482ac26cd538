//! Goes through the letters that may pass, stripe by stripe, and lets somebody count. Never holds more than some stripes.

use std::collections::{BTreeMap, BTreeSet};

use super::row::UNKNOWN;
use super::shelf::Shelf;
use super::stripes::{Block, Column, STRIPE};
use super::wish::Wish;

/// Stripes that are read at once.
const STRIPES_MAX: usize = 32;
/// And at first, where a few may be enough.
const STRIPES_FIRST: usize = 2;

/// Somebody who counts.
pub trait Tally {
    /// What has to be read to count.
    fn columns(&self) -> Vec<Column>;

    /// `chosen` are places in the block.
    fn take(&mut self, block: &Block, chosen: &[usize]);

    /// What died before this time is of no use any more.
    fn floor(&self) -> i64 {
        i64::MIN
    }

    /// The latest deaths may be enough, so they are to come first.
    const LATEST_FIRST: bool = false;
}

/// Counts what passes.
pub async fn scan<S: Shelf, T: Tally>(shelf: &mut S, wish: &Wish, tally: &mut T) -> Result<(), S::Error> {
    if wish.is_hopeless {
        return Ok(());
    }
    let mut chosen = Vec::with_capacity(STRIPE);
    if let Some(keys) = &wish.keys {
        for keys in keys.chunks(STRIPE) {
            let block = Block::of_rows(&shelf.facts(keys).await?);
            wish.choose(&block, &mut chosen);
            tally.take(&block, &chosen);
        }
        return Ok(());
    }
    // Those that are in no stripe yet are most often the latest.
    let full = shelf.next_key().await? / STRIPE as i64;
    let block = Block::of_rows(&shelf.facts_from(full * STRIPE as i64, STRIPE).await?);
    wish.choose(&block, &mut chosen);
    tally.take(&block, &chosen);

    let columns: BTreeSet<Column> = wish.columns().chain(tally.columns()).collect();
    let columns: Vec<Column> = columns.into_iter().collect();
    let mut stripes = candidates(shelf, wish, T::LATEST_FIRST).await?;
    let mut most = if T::LATEST_FIRST { STRIPES_FIRST } else { STRIPES_MAX };
    while !stripes.is_empty() {
        let rest = stripes.split_off(most.min(stripes.len()));
        let floor = tally.floor();
        let mut wanted: Vec<i64> =
            stripes.iter().filter(|(_, died)| *died >= floor).map(|(stripe, _)| *stripe).collect();
        wanted.sort_unstable();
        read(shelf, wish, tally, &wanted, &columns, &mut chosen).await?;
        stripes = rest;
        most = (most * 2).min(STRIPES_MAX);
    }
    Ok(())
}

/// The stripes in which something may pass, each with its latest death.
async fn candidates<S: Shelf>(
    shelf: &mut S,
    wish: &Wish,
    latest_first: bool,
) -> Result<Vec<(i64, i64)>, S::Error> {
    let columns: BTreeSet<Column> = wish.columns().chain([Column::Died]).collect();
    let columns: Vec<Column> = columns.into_iter().collect();
    let mut passing: BTreeMap<i64, Option<i64>> = BTreeMap::new();
    for (stripe, column, low, high) in shelf.extremes(&columns).await? {
        let died = passing.entry(stripe).or_insert(Some(i64::MAX));
        if !wish.may_pass(column, low, high) {
            *died = None;
        } else if column == Column::Died && died.is_some() {
            *died = Some(high);
        }
    }
    let mut stripes: Vec<(i64, i64)> =
        passing.into_iter().filter_map(|(stripe, died)| Some((stripe, died?))).collect();
    if latest_first {
        stripes.sort_by_key(|(_, died)| std::cmp::Reverse(*died));
    }
    Ok(stripes)
}

async fn read<S: Shelf, T: Tally>(
    shelf: &mut S,
    wish: &Wish,
    tally: &mut T,
    stripes: &[i64],
    columns: &[Column],
    chosen: &mut Vec<usize>,
) -> Result<(), S::Error> {
    if stripes.is_empty() {
        return Ok(());
    }
    let mut read = shelf.stripes(stripes, columns).await?.into_iter().peekable();
    for stripe in stripes {
        let mut block = Block::of_stripe(*stripe);
        while let Some(one) = read.next_if(|one| one.stripe == *stripe) {
            let values = one.packed.unpack().ok_or_else(|| shelf.damaged("a stripe of another length"))?;
            block.put(one.column, values);
        }
        // An older version, which does not know of them, may have filled the stripe.
        for column in columns.iter().filter(|column| matches!(column, Column::TokensIn | Column::TokensOut)) {
            if block.column(*column).is_empty() {
                block.put(*column, vec![UNKNOWN; STRIPE]);
            }
        }
        if columns.iter().any(|column| block.column(*column).is_empty()) {
            return Err(shelf.damaged("a stripe without one of its columns"));
        }
        wish.choose(&block, chosen);
        tally.take(&block, chosen);
    }
    Ok(())
}
