//! What dead letters have cost: tokens as providers counted them, by the prices that the configuration has now. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Amount, Asks, Config, Price};
use crate::quarantine::{Group, Known, Share, TokensOf};

/// An amount with its currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Money {
    pub amount: Amount,
    pub currency: String,
}

/// Something that has taken tokens, with what they cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Priced<T> {
    #[serde(flatten)]
    pub of: T,
    /// Absent where tokens or their price are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// Tokens of a stage.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub pipeline: &'a str,
    pub stage: &'a str,
    pub input: u64,
    pub output: u64,
}

/// What has taken tokens.
pub trait Spender {
    /// As far as it is known.
    fn parts(&self) -> Vec<Part<'_>>;
}

impl<T: Spender> Priced<T> {
    pub fn new(config: &Config, of: T) -> Self {
        Self { cost: money(config, of.parts()), of }
    }
}

impl Spender for Known {
    fn parts(&self) -> Vec<Part<'_>> {
        let entry = &self.entry;
        let part = entry.spent.map(|spent| Part {
            pipeline: &entry.pipeline,
            stage: &entry.stage,
            input: spent.input,
            output: spent.output,
        });
        part.into_iter().collect()
    }
}

impl Spender for Group {
    fn parts(&self) -> Vec<Part<'_>> {
        let part = self.tokens.map(|tokens| Part {
            pipeline: &self.pipeline,
            stage: &self.stage,
            input: tokens.input,
            output: tokens.output,
        });
        part.into_iter().collect()
    }
}

impl Spender for Share {
    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::with_capacity(self.by_stage.len());
        for TokensOf { pipeline, stage, tokens } in &self.by_stage {
            parts.push(Part { pipeline, stage, input: tokens.input, output: tokens.output });
        }
        parts
    }
}

/// What these cost together; `None` when there are none, or one of them has no price, so that nobody takes a part for all of it.
pub fn money<'a>(config: &Config, parts: impl IntoIterator<Item = Part<'a>>) -> Option<Money> {
    let mut sum = None;
    for part in parts {
        let price = price(config, part.pipeline, part.stage)?;
        let amount = price.of(part.input, part.output);
        sum = Some(amount.plus(sum.unwrap_or_default()));
    }
    sum.map(|amount| Money { amount, currency: config.currency.clone() })
}

fn price(config: &Config, pipeline: &str, stage: &str) -> Option<Price> {
    let asks = paid(config, pipeline, stage)?;
    config.price(asks.provider, asks.model)
}

/// The provider and the model that are paid for what dies in a stage: those that it asks itself, else those that wrote the draft
/// that it works on.
fn paid<'a>(config: &'a Config, pipeline: &str, stage: &str) -> Option<Asks<'a>> {
    let before = || config.pipelines.get(pipeline)?.drafted_before(stage);
    config.asks(pipeline, stage).or_else(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = include_str!("../../../lazaret.yaml")
            .replace("  local:\n", "  local:\n    prices: { lazaret-extract: { input: 1, output: 2 } }\n");
        Config::parse(&text, "lazaret.yaml").expect("a configuration")
    }

    fn part(stage: &str, input: u64, output: u64) -> Part<'_> {
        Part { pipeline: "rag-answer", stage, input, output }
    }

    #[test]
    fn a_draft_is_paid_to_the_model_that_wrote_it_wherever_it_dies() {
        let config = config();
        let cost =
            |stage| money(&config, [part(stage, 1_000_000, 500_000)]).map(|cost| cost.amount.to_string());
        assert_eq!(cost("generate").as_deref(), Some("2.00"));
        assert_eq!(cost("ground").as_deref(), Some("2.00"));
        assert_eq!(cost("validate"), None, "before it nobody is asked");
        assert_eq!(cost("nowhere"), None);
    }

    #[test]
    fn what_is_known_in_part_only_is_not_known() {
        let config = config();
        let (known, unknown) = (part("generate", 1_000_000, 0), part("retrieve", 1, 0));
        let both = money(&config, [known, known]).expect("a price");
        assert_eq!((both.amount.to_string().as_str(), both.currency.as_str()), ("2.00", "USD"));
        assert_eq!(money(&config, [known, unknown]), None, "lazaret-embed has no price");
        assert_eq!(money(&config, []), None);
    }
}
