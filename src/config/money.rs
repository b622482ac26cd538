//! Money: amounts to a billionth, so that what one call costs adds up exactly, and what a provider takes for tokens.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::model::Config;

/// Billionths of one.
const PARTS: f64 = 1e9;
/// Greatest amount that is read.
const AMOUNT_MAX: f64 = 1e9;
/// For how many tokens a price is.
const TOKENS: u128 = 1_000_000;

/// An amount of money in the currency of the configuration, never negative: `0.15`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

/// What a provider takes for a million tokens, in the currency of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of what it is asked.
    pub input: Amount,
    /// Of what it answers; a model that makes vectors takes nothing for them.
    #[serde(default)]
    pub output: Amount,
}

impl Amount {
    /// The error says what is wrong and what would be right.
    pub fn of(number: f64) -> Result<Self, String> {
        match number {
            n if !n.is_finite() => Err("this is no amount of money; write a number such as 0.15".into()),
            n if n < 0.0 => Err(format!("{n} is negative; an amount is at least 0")),
            n if n > AMOUNT_MAX => Err(format!("{n} is more than {AMOUNT_MAX}; write a smaller amount")),
            n => Ok(Self((n * PARTS).round() as u64)),
        }
    }

    /// Reads `5.00`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = text.trim().parse::<f64>();
        Self::of(number.map_err(|_| format!("'{text}' is no amount of money; write a number such as 5.00"))?)
    }

    /// Billionths.
    pub fn parts(self) -> u64 {
        self.0
    }

    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    fn number(self) -> f64 {
        self.0 as f64 / PARTS
    }
}

impl Price {
    /// What so many tokens cost.
    pub fn of(self, input: u64, output: u64) -> Amount {
        let part = |tokens: u64, price: Amount| u128::from(tokens) * u128::from(price.0);
        let sum = part(input, self.input).saturating_add(part(output, self.output));
        Amount(u64::try_from((sum + TOKENS / 2) / TOKENS).unwrap_or(u64::MAX))
    }
}

impl Config {
    /// What a million tokens of this model cost, where it is said.
    pub fn price(&self, provider: &str, model: &str) -> Option<Price> {
        self.providers.get(provider)?.prices.get(model).copied()
    }
}

/// For people: to the hundredth, or, of what is less than one, to the ten-thousandth.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            n if n >= 1.0 || n == 0.0 => write!(f, "{n:.2}"),
            n if n < 0.0001 => f.write_str("<0.0001"),
            n => write!(f, "{n:.4}"),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Sums, which are written down too, may be more than one amount that people write.
        let number = f64::deserialize(deserializer)?;
        Self::of(number.min(AMOUNT_MAX)).map_err(D::Error::custom)?;
        Ok(Self((number * PARTS).round() as u64))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.number())
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": AMOUNT_MAX,
            "description": "An amount of money in the currency of the configuration: 0.15"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(number: f64) -> Amount {
        Amount::of(number).expect("an amount")
    }

    #[test]
    fn tokens_cost_what_a_million_of_them_do_in_proportion() {
        let price = Price { input: amount(0.15), output: amount(0.6) };
        assert_eq!(price.of(1_000_000, 0), amount(0.15));
        assert_eq!(price.of(2_000, 500), amount(0.0006));
        assert_eq!(price.of(1, 0), amount(0.000_000_15), "one token is not nothing");
        assert_eq!(price.of(u64::MAX, u64::MAX).parts(), u64::MAX, "what is too much is the most there is");
    }

    #[test]
    fn many_small_amounts_add_up_to_what_they_are_together() {
        let price = Price { input: amount(0.02), output: Amount::default() };
        let sum = (0..1_000).map(|_| price.of(50, 0)).fold(Amount::default(), Amount::plus);
        assert_eq!(sum, price.of(50_000, 0));
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for text in ["0.0", "0.15", "5.0", "0.0006", "1234.5", "1.5e-7"] {
            let read: Amount = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&read).expect("JSON"), text);
        }
        assert_eq!(Amount::parse("5.00"), Ok(amount(5.0)));
        assert_eq!(serde_json::from_str::<Amount>("3").expect("a whole number"), amount(3.0));
    }

    #[test]
    fn what_is_no_amount_is_told_what_would_be_one() {
        for (text, why) in
            [("-1", "-1 is negative"), ("x", "no amount"), ("NaN", "no amount"), ("1e12", "more")]
        {
            let told = Amount::parse(text).expect_err(text);
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn people_see_as_much_of_it_as_they_need() {
        for (number, shown) in [(0.0, "0.00"), (12.345, "12.35"), (0.0123, "0.0123"), (0.000_01, "<0.0001")] {
            assert_eq!(amount(number).to_string(), shown);
        }
    }
}
