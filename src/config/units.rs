//! Durations and sizes as people write them: `30s`, `1h30m`, `4MiB`. A number without a unit is an error.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
                "" => return Err(format!("'{text}' has no unit; did you mean {text}s or {text}ms?")),
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

macro_rules! as_text {
    ($name:ident, $pattern:literal, $what:literal) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $name::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $what })
            }
        }
    };
}

as_text!(Span, "^([0-9]+(ms|s|m|h|d))+$", "A duration with a unit: 250ms, 30s, 5m, 1h30m, 7d");
as_text!(Size, "^[0-9]+ ?(B|KiB|MiB|GiB|kB|KB|MB|GB)$", "A size with a unit: 64KiB, 20MiB, 1GiB");
