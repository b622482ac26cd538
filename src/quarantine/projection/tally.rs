//! Counts of what passes: in all, by value, by hour, and the latest ones. Pure.

use std::collections::BTreeMap;

use super::row::UNKNOWN;
use super::scan::Tally;
use super::stripes::{Block, Column};
use crate::quarantine::{By, Cursor, Tokens};

pub const HOUR: i64 = 3_600_000;

/// How many.
#[derive(Default)]
pub struct Count(pub u64);

impl Tally for Count {
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn take(&mut self, _: &Block, chosen: &[usize]) {
        self.0 += chosen.len() as u64;
    }
}

/// Which.
#[derive(Default)]
pub struct Keys(pub Vec<i64>);

impl Tally for Keys {
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        self.0.extend(chosen.iter().filter_map(|n| block.keys.get(*n)));
    }
}

/// The earliest time that Kafka counts the retention from, `i64::MAX` for none.
pub struct Oldest(pub i64);

impl Tally for Oldest {
    fn columns(&self) -> Vec<Column> {
        vec![Column::Logged]
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let logged = block.column(Column::Logged);
        self.0 = chosen.iter().filter_map(|n| logged.get(*n)).copied().fold(self.0, i64::min);
    }
}

/// Bytes of records.
#[derive(Default)]
pub struct Bytes(pub u64);

impl Tally for Bytes {
    fn columns(&self) -> Vec<Column> {
        vec![Column::Size]
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let sizes = block.column(Column::Size);
        let sum = chosen.iter().filter_map(|n| sizes.get(*n)).map(|size| size.unsigned_abs()).sum::<u64>();
        self.0 = self.0.saturating_add(sum);
    }
}

/// How many, and when the first and the last died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    pub count: u64,
    pub first: i64,
    pub last: i64,
}

impl Sum {
    pub const NONE: Self = Self { count: 0, first: i64::MAX, last: i64::MIN };

    #[inline]
    pub fn add(&mut self, died: i64) {
        self.count += 1;
        self.first = self.first.min(died);
        self.last = self.last.max(died);
    }
}

/// By the value of one column. Numbers of names leave no gaps, so that a place for each is not too many.
pub struct Shares {
    by: Column,
    pub sums: Vec<Sum>,
    /// What is known of tokens, by the value, the pipeline and the stage.
    pub tokens: BTreeMap<(i64, i64, i64), Tokens>,
}

impl Shares {
    pub fn by(by: By) -> Self {
        let by = match by {
            By::Tenant => Column::Tenant,
            By::Resource => Column::Resource,
            By::Feature => Column::Feature,
            By::Model => Column::Model,
            By::Producer => Column::Producer,
            By::Version => Column::Version,
            By::Code => Column::Code,
            By::Class => Column::Class,
            By::Stage => Column::Stage,
            By::State => Column::State,
        };
        Self { by, sums: Vec::new(), tokens: BTreeMap::new() }
    }

    pub fn column(&self) -> Column {
        self.by
    }
}

impl Tally for Shares {
    fn columns(&self) -> Vec<Column> {
        vec![Column::Died, self.by, Column::Pipeline, Column::Stage, Column::TokensIn, Column::TokensOut]
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let (values, died) = (block.column(self.by), block.column(Column::Died));
        for n in chosen {
            let (Some(value), Some(died)) = (values.get(*n), died.get(*n)) else { continue };
            place(&mut self.sums, *value, Sum::NONE).add(*died);
        }
        let columns = [self.by, Column::Pipeline, Column::Stage, Column::TokensIn, Column::TokensOut];
        let columns = columns.map(|column| block.column(column));
        // Of most letters nobody has counted anything.
        if columns[3].iter().all(|input| *input == UNKNOWN) {
            return;
        }
        for n in chosen {
            let values = columns.map(|values| values.get(*n).copied().unwrap_or(UNKNOWN));
            let [value, pipeline, stage, input, output] = values;
            if input != UNKNOWN {
                self.tokens.entry((value, pipeline, stage)).or_default().add(input, output);
            }
        }
    }
}

/// The place of a number, made when it is not there.
#[inline]
pub fn place<T: Clone>(places: &mut Vec<T>, number: i64, empty: T) -> &mut T {
    let n = usize::try_from(number).unwrap_or_default();
    if n >= places.len() {
        places.resize(n + 1, empty);
    }
    &mut places[n]
}

/// By hour.
#[derive(Default)]
pub struct Trend(pub BTreeMap<i64, u64>);

impl Tally for Trend {
    fn columns(&self) -> Vec<Column> {
        vec![Column::Died]
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let died = block.column(Column::Died);
        let (mut hour, mut count) = (0, 0);
        for died in chosen.iter().filter_map(|n| died.get(*n)) {
            // Neighbours died in the same hour more often than not.
            let this = died.div_euclid(HOUR);
            if this != hour {
                self.add(hour, count);
                (hour, count) = (this, 0);
            }
            count += 1;
        }
        self.add(hour, count);
    }
}

impl Trend {
    fn add(&mut self, hour: i64, count: u64) {
        if count > 0 {
            *self.0.entry(hour).or_default() += count;
        }
    }
}

/// The latest deaths. Of those that died in the same millisecond as the last one that fits, all are kept, since their ids
/// decide; and all that died in the millisecond in which the page before ended.
pub struct Latest {
    most: usize,
    after: Option<i64>,
    floor: i64,
    /// Death and key.
    pub kept: Vec<(i64, i64)>,
    pub ties: Vec<i64>,
}

impl Latest {
    pub fn new(most: usize, after: Option<&Cursor>) -> Self {
        let after = after.map(|cursor| cursor.died);
        Self { most, after, floor: i64::MIN, kept: Vec::new(), ties: Vec::new() }
    }

    fn thin(&mut self) {
        let Some(last) = self.most.checked_sub(1).filter(|last| *last < self.kept.len()) else { return };
        let (_, (died, _), _) = self.kept.select_nth_unstable_by(last, |a, b| b.cmp(a));
        self.floor = *died;
        let floor = self.floor;
        self.kept.retain(|(died, _)| *died >= floor);
    }
}

impl Tally for Latest {
    const LATEST_FIRST: bool = true;

    fn columns(&self) -> Vec<Column> {
        vec![Column::Died]
    }

    fn take(&mut self, block: &Block, chosen: &[usize]) {
        let deaths = block.column(Column::Died);
        for n in chosen {
            let (Some(died), Some(key)) = (deaths.get(*n), block.keys.get(*n)) else { continue };
            if self.after == Some(*died) {
                self.ties.push(*key);
            } else if *died >= self.floor {
                self.kept.push((*died, *key));
            }
        }
        self.thin();
    }

    fn floor(&self) -> i64 {
        self.floor
    }
}
