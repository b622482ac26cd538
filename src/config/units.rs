//! Durations and sizes as people write them: `30s`, `1h30m`, `4MiB`. A number without a unit is an error.

use std::time::Duration;

use super::text::as_text;

/// A duration with a unit: `250ms`, `30s`, `5m`, `1h30m`, `7d`. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// A number of bytes with a unit: `512B`, `64KiB`, `20MiB`, `1GiB` (binary) or `kB`, `MB`, `GB` (decimal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Span {
    pub const fn millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Reads `1h30m`; the error says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut total = Duration::ZERO;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err("an empty duration; write a number with a unit, such as 30s".into());
        }
        if rest.starts_with('-') {
            return Err(format!("'{text}' is negative; a duration is at least 0s"));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let number: u64 = number.parse().map_err(|_| {
                format!("'{text}' is not a duration; write a whole number with a unit, such as 30s")
            })?;
            let ms = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "" if tail.is_empty() => {
                    return Err(format!("'{text}' has no unit; did you mean {text}s or {text}ms?"));
                }
                "" => return Err(format!("'{text}' is not a duration; write it like 30s or 1h30m")),
                _ => return Err(format!("'{text}' has an unknown unit '{unit}'; use ms, s, m, h or d")),
            };
            let ms = number.checked_mul(ms).ok_or_else(|| format!("'{text}' is too long"))?;
            total = total
                .checked_add(Duration::from_millis(ms))
                .ok_or_else(|| format!("'{text}' is too long"))?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.0.as_millis();
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if ms >= size && ms.is_multiple_of(size) {
                return write!(f, "{}{unit}", ms / size);
            }
        }
        write!(f, "{ms}ms")
    }
}

impl Size {
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// Reads `20MiB`; the error says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let number: u64 = number.parse().map_err(|_| {
            format!("'{text}' is not a size; write a whole number with a unit, such as 20MiB")
        })?;
        let factor = match unit.trim() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "" => return Err(format!("'{text}' has no unit; did you mean {text}B or {text}MiB?")),
            other => return Err(format!("'{text}' has an unknown unit '{other}'; use B, KiB, MiB or GiB")),
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| format!("'{text}' is too large"))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (unit, size) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}B", self.0)
    }
}

as_text!(
    Span,
    "pattern": "^([0-9]+(ms|s|m|h|d))+$",
    "description": "A duration with a unit: 250ms, 30s, 5m, 1h30m, 7d"
);
as_text!(
    Size,
    "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB|kB|KB|MB|GB)$",
    "description": "A size with a unit: 64KiB, 20MiB, 1GiB"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_duration_is_read_as_it_is_written(ms in 0u64..=u64::MAX / 2) {
            let span = Span::millis(ms);
            prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
        }

        #[test]
        fn a_round_duration_is_read_as_it_is_written(n in 0u64..10_000, unit in prop::sample::select(vec![1, 60, 3_600, 86_400])) {
            let span = Span::secs(n * unit);
            prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
        }

        #[test]
        fn a_size_is_read_as_it_is_written(bytes: u64, shift in 0u32..40) {
            let size = Size((bytes >> shift) << shift);
            prop_assert_eq!(Size::parse(&size.to_string()), Ok(size));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,40}") {
            let _ = (Span::parse(&text), Size::parse(&text));
        }
    }

    #[test]
    fn units_add_up() {
        assert_eq!(Span::parse("1h30m"), Ok(Span::secs(5_400)));
        assert_eq!(Span::parse("1m250ms"), Ok(Span::millis(60_250)));
        assert_eq!(Size::parse("64KiB"), Ok(Size(65_536)));
        assert_eq!(Size::parse("2 MB"), Ok(Size(2_000_000)));
    }

    #[test]
    fn the_largest_whole_unit_is_written() {
        let written = [Span::secs(600), Span::secs(90), Span::secs(86_400), Span::millis(1_500)];
        assert_eq!(written.map(|s| s.to_string()), ["10m", "90s", "1d", "1500ms"]);
        assert_eq!([Size::mib(1024), Size(1_500)].map(|s| s.to_string()), ["1GiB", "1500B"]);
    }

    #[test]
    fn what_is_no_duration_is_told_what_would_be_one() {
        for (text, expected) in [
            ("30", "'30' has no unit; did you mean 30s or 30ms?"),
            ("-5s", "'-5s' is negative; a duration is at least 0s"),
            ("1.5s", "'1.5s' is not a duration; write it like 30s or 1h30m"),
            ("30 s", "'30 s' is not a duration; write it like 30s or 1h30m"),
            ("30x", "'30x' has an unknown unit 'x'; use ms, s, m, h or d"),
            ("soon", "'soon' is not a duration; write a whole number with a unit, such as 30s"),
            ("", "an empty duration; write a number with a unit, such as 30s"),
            (
                "99999999999999999999s",
                "'99999999999999999999s' is not a duration; write a whole number with a unit, such as 30s",
            ),
            ("999999999999999999d", "'999999999999999999d' is too long"),
        ] {
            assert_eq!(Span::parse(text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn what_is_no_size_is_told_what_would_be_one() {
        for (text, expected) in [
            ("8", "'8' has no unit; did you mean 8B or 8MiB?"),
            ("8mb", "'8mb' has an unknown unit 'mb'; use B, KiB, MiB or GiB"),
            ("-1B", "'-1B' is not a size; write a whole number with a unit, such as 20MiB"),
            ("99999999999GiB", "'99999999999GiB' is too large"),
        ] {
            assert_eq!(Size::parse(text), Err(expected.to_owned()));
        }
    }
}
