//! A filter as conditions on numbers. Looking up names comes first; then it is decided by numbers alone.

use super::looks::Looks;
use super::row::{Name, clean, number, trace_hash, whole};
use super::shelf::Shelf;
use super::stripes::{Block, Column};
use crate::quarantine::{Cursor, Filter};

/// What a number must be.
#[derive(Clone, Debug)]
enum Test {
    Is(i64),
    /// True at the numbers that pass.
    Any(Vec<bool>),
    /// From the first up to, and without, the second.
    Within(i64, i64),
}

impl Test {
    fn any(numbers: &[i64]) -> Self {
        if let [one] = numbers {
            return Test::Is(*one);
        }
        let most = numbers.iter().copied().max().unwrap_or_default();
        let mut passes = vec![false; usize::try_from(most).unwrap_or_default() + 1];
        for number in numbers {
            if let Some(pass) = usize::try_from(*number).ok().and_then(|n| passes.get_mut(n)) {
                *pass = true;
            }
        }
        Test::Any(passes)
    }

    #[inline]
    fn passes(&self, value: i64) -> bool {
        match self {
            Test::Is(wanted) => value == *wanted,
            Test::Any(passes) => {
                usize::try_from(value).ok().and_then(|n| passes.get(n)).copied().unwrap_or_default()
            }
            Test::Within(from, to) => *from <= value && value < *to,
        }
    }

    /// Whether anything between these two can pass.
    fn may_pass(&self, low: i64, high: i64) -> bool {
        match self {
            Test::Is(wanted) => low <= *wanted && *wanted <= high,
            Test::Any(passes) => {
                let (low, high) = (usize::try_from(low).unwrap_or(0), usize::try_from(high).unwrap_or(0));
                let high = high.min(passes.len().saturating_sub(1));
                passes.get(low..=high).is_some_and(|some| some.contains(&true))
            }
            Test::Within(from, to) => *from <= high && low < *to,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Wish {
    tests: Vec<(Column, Test)>,
    /// Whether somebody has to have looked at them, and what that depends on.
    looked_at: Option<(bool, Looks)>,
    /// Where only letters of a job are asked for, theirs, ascending.
    pub keys: Option<Vec<i64>>,
    /// Something that is asked for was never seen.
    pub is_hopeless: bool,
}

impl Wish {
    pub async fn of<S: Shelf>(shelf: &mut S, filter: &Filter) -> Result<Self, S::Error> {
        let mut wish = Self::default();
        let named = [
            (Column::Fingerprint, &filter.fingerprint),
            (Column::Tenant, &filter.tenant),
            (Column::Resource, &filter.resource),
            (Column::Code, &filter.code),
            (Column::Class, &filter.class),
            (Column::Stage, &filter.stage),
            (Column::Pipeline, &filter.pipeline),
        ];
        for (column, name) in named {
            let Some(name) = name else { continue };
            let name = Name::of(column.name(), name);
            let numbers = shelf.numbers_of(&name, column == Column::Code).await?;
            wish.demand(column, &numbers);
        }
        if !filter.states.is_empty() {
            let states: Vec<i64> = filter.states.iter().copied().map(number).collect();
            wish.demand(Column::State, &states);
        }
        if !filter.kept.is_empty() {
            let kept: Vec<i64> = filter.kept.iter().map(|kept| *kept as i64).collect();
            wish.demand(Column::Kept, &kept);
        }
        if let Some(trace) = &filter.trace {
            wish.demand(Column::Trace, &[trace_hash(trace)]);
        }
        wish.demand_time(filter);
        if wish.is_hopeless {
            return Ok(wish);
        }
        if let Some(wanted) = filter.looked_at {
            wish.looked_at = Some((wanted, Looks::of_all(shelf).await?));
        }
        if let Some(text) = &filter.text {
            wish.demand(Column::Message, &shelf.messages_with(&folded(text)).await?);
        }
        if let Some(job) = &filter.job {
            wish.keys = Some(shelf.keys_of(&clean(job)).await?);
        }
        Ok(wish)
    }

    fn demand(&mut self, column: Column, numbers: &[i64]) {
        self.is_hopeless |= numbers.is_empty();
        self.tests.push((column, Test::any(numbers)));
    }

    fn demand_time(&mut self, filter: &Filter) {
        // Letters have milliseconds: a time within one means the next.
        let from = filter.since.map(|since| {
            let cut = since.as_millisecond();
            cut + i64::from(super::row::time(cut) < since)
        });
        let to = filter.until.map(|until| {
            let cut = until.as_millisecond();
            cut + i64::from(super::row::time(cut) < until)
        });
        if from.is_some() || to.is_some() {
            let test = Test::Within(from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
            self.tests.push((Column::Died, test));
        }
        if let Some(before) = filter.logged_before {
            self.tests.push((Column::Logged, Test::Within(i64::MIN, before.as_millisecond())));
        }
    }

    /// Only what comes at or after this in a list.
    pub fn begin_at(&mut self, cursor: &Cursor) {
        let test = Test::Within(i64::MIN, cursor.died.saturating_add(1));
        self.tests.push((Column::Died, test));
    }

    /// What has to be read to decide.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        let looked_at =
            self.looked_at.iter().flat_map(|_| [Column::Looked, Column::Fingerprint, Column::Died]);
        self.tests.iter().map(|(column, _)| *column).chain(looked_at)
    }

    /// Whether a column with these extremes can have anything that passes.
    pub fn may_pass(&self, column: Column, low: i64, high: i64) -> bool {
        self.tests.iter().filter(|(tested, _)| *tested == column).all(|(_, test)| test.may_pass(low, high))
    }

    /// The places of those that pass.
    pub fn choose(&self, block: &Block, chosen: &mut Vec<usize>) {
        chosen.clear();
        let mut tests = self.tests.iter();
        match tests.next() {
            None => chosen.extend(0..block.keys.len()),
            Some((column, test)) => {
                let values = block.column(*column).iter().enumerate();
                chosen.extend(values.filter(|(_, value)| test.passes(**value)).map(|(n, _)| n));
            }
        }
        for (column, test) in tests {
            let values = block.column(*column);
            chosen.retain(|n| values.get(*n).is_some_and(|value| test.passes(*value)));
        }
        if let Some((wanted, looks)) = &self.looked_at {
            let columns =
                [Column::Looked, Column::Fingerprint, Column::Died].map(|column| block.column(column));
            chosen.retain(|n| {
                let [Some(looked), Some(print), Some(died)] = columns.map(|values| values.get(*n)) else {
                    return false;
                };
                (*looked != 0 || looks.has(*print, *died)) == *wanted
            });
        }
    }
}

/// Text as it is compared: letters of both cases are the same.
pub fn folded(text: &str) -> String {
    whole(text).to_lowercase()
}
