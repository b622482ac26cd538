//! Numbers of many letters side by side. What letters are counted and chosen by is kept once more as columns, cut into
//! stripes of 4,096 letters: a question reads the columns it is about, and those of all letters if it must. Pure.

/// Letters of a stripe. Those of the last one, which is not full yet, are read as rows. Tests have few letters, and are to
/// see what happens at the ends of stripes.
pub const STRIPE: usize = if cfg!(test) { 16 } else { 4096 };

/// What is known of a letter as a number. Most are ids of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    State,
    Pipeline,
    Stage,
    Code,
    Class,
    Fingerprint,
    Tenant,
    Resource,
    Feature,
    Model,
    Producer,
    Version,
    Message,
    Died,
    Size,
    /// The beginning of the hash of it: a trace is looked for among all, since an index of what comes in no order costs more
    /// than everything else when letters come in.
    Trace,
    /// 1 when a person has done something with it; what was done with its group is not in it.
    Looked,
    /// The time that Kafka counts its retention from.
    Logged,
    /// Where it can be read.
    Kept,
    /// Tokens that a provider has counted; [`super::row::UNKNOWN`] where nobody said.
    TokensIn,
    TokensOut,
}

pub const COLUMNS: usize = 21;
/// Room for columns in the place that a store gives a column of a stripe: stripe * ROOM + the column's number.
pub const ROOM: i64 = 32;

impl Column {
    /// In the order in which the stores' tables have them.
    pub const ALL: [Column; COLUMNS] = [
        Column::State,
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
        Column::Message,
        Column::Died,
        Column::Size,
        Column::Trace,
        Column::Looked,
        Column::Logged,
        Column::Kept,
        Column::TokensIn,
        Column::TokensOut,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Column::State => "state",
            Column::Pipeline => "pipeline",
            Column::Stage => "stage",
            Column::Code => "code",
            Column::Class => "class",
            Column::Fingerprint => "fingerprint",
            Column::Tenant => "tenant",
            Column::Resource => "resource",
            Column::Feature => "feature",
            Column::Model => "model",
            Column::Producer => "producer",
            Column::Version => "version",
            Column::Message => "message",
            Column::Died => "died",
            Column::Size => "size",
            Column::Trace => "trace_hash",
            Column::Looked => "looked",
            Column::Logged => "logged",
            Column::Kept => "kept",
            Column::TokensIn => "tokens_in",
            Column::TokensOut => "tokens_out",
        }
    }

    pub fn number(self) -> i64 {
        self as i64
    }

    pub fn of(number: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// The numbers of one letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts(pub [i64; COLUMNS]);

impl Facts {
    pub fn get(&self, column: Column) -> i64 {
        // There are as many as there are columns.
        self.0[column as usize]
    }

    pub fn set(&mut self, column: Column, value: i64) {
        self.0[column as usize] = value;
    }
}

/// One column of a stripe: each number as what it is above the least of them, in 0, 1, 2, 4 or 8 bytes, little endian.
/// The extremes tell whether there is anything in it that somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub low: i64,
    pub high: i64,
    pub bytes: Vec<u8>,
}

impl Packed {
    pub fn of(values: &[i64]) -> Self {
        let low = values.iter().copied().min().unwrap_or_default();
        let high = values.iter().copied().max().unwrap_or_default();
        let span = high.wrapping_sub(low).cast_unsigned();
        let width = [0, 1, 2, 4].into_iter().find(|width| span < 1 << (width * 8)).unwrap_or(8);
        let above = |value: &i64| value.wrapping_sub(low).to_le_bytes().into_iter().take(width);
        Self { low, high, bytes: values.iter().flat_map(above).collect() }
    }

    /// `None` when the bytes are not those of a stripe.
    pub fn unpack(&self) -> Option<Vec<i64>> {
        let add = |above: u64| self.low.wrapping_add(above.cast_signed());
        let bytes = &self.bytes;
        if !bytes.len().is_multiple_of(STRIPE) {
            return None;
        }
        Some(match bytes.len() / STRIPE {
            0 => vec![self.low; STRIPE],
            1 => bytes.iter().map(|byte| add((*byte).into())).collect(),
            2 => bytes.as_chunks().0.iter().map(|b| add(u16::from_le_bytes(*b).into())).collect(),
            4 => bytes.as_chunks().0.iter().map(|b| add(u32::from_le_bytes(*b).into())).collect(),
            8 => bytes.as_chunks().0.iter().map(|b| add(u64::from_le_bytes(*b))).collect(),
            _ => return None,
        })
    }
}

/// Letters as columns: of a stripe, those columns that were read.
#[derive(Debug, Default)]
pub struct Block {
    pub keys: Vec<i64>,
    columns: [Vec<i64>; COLUMNS],
}

impl Block {
    pub fn of_rows(rows: &[(i64, Facts)]) -> Self {
        let mut block = Self { keys: rows.iter().map(|(key, _)| *key).collect(), ..Self::default() };
        for column in Column::ALL {
            block.columns[column as usize] = rows.iter().map(|(_, facts)| facts.get(column)).collect();
        }
        block
    }

    pub fn of_stripe(stripe: i64) -> Self {
        let first = stripe * STRIPE as i64;
        Self { keys: (first..first + STRIPE as i64).collect(), ..Self::default() }
    }

    pub fn put(&mut self, column: Column, values: Vec<i64>) {
        self.columns[column as usize] = values;
    }

    /// Empty when it was not read.
    pub fn column(&self, column: Column) -> &[i64] {
        &self.columns[column as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back_and_take_no_more_room_than_they_need() {
        let many = |f: fn(i64) -> i64| -> Vec<i64> { (0..STRIPE as i64).map(f).collect() };
        for (values, width) in [
            (many(|_| -7), 0),
            (many(|n| 1_000_000 + n % 256), 1),
            (many(|n| n % 16 * 4000), 2),
            (many(|n| 1_700_000_000_000 + n % 16 * 100_000_000), 4),
            (many(|n| if n == 0 { i64::MIN } else { i64::MAX }), 8),
        ] {
            let packed = Packed::of(&values);
            assert_eq!(packed.bytes.len(), width * STRIPE);
            assert_eq!(packed.unpack(), Some(values));
        }
    }

    #[test]
    fn bytes_of_another_length_are_no_stripe() {
        assert_eq!(Packed { low: 0, high: 1, bytes: vec![0; 5] }.unpack(), None);
        assert_eq!(Packed { low: 0, high: 1, bytes: vec![0; 3 * STRIPE] }.unpack(), None);
    }
}
