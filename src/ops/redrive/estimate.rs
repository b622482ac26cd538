//! What the letters of a plan will take of a provider, before anything is sent, and whether that is too much. Pure.

use super::checks::{Check, Limits, fails, holds};
use crate::config::{Asks, Config};
use crate::message::Spent;
use crate::quarantine::{Estimate, Plan, Preview};

/// Bytes of a record to a token, where nobody has counted. Records are JSON, or Avro, and have headers, so that it is rather too much.
const BYTES_PER_TOKEN: u64 = 4;

/// The letters of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Letters<'a> {
    pub pipeline: &'a str,
    pub stage: &'a str,
    pub count: u64,
    pub bytes: u64,
    pub preview: Option<Preview>,
    /// What providers have counted when they died.
    pub spent: Option<Spent>,
}

/// One call each of those that will run. `None` when their stage asks nobody.
pub fn estimate(config: &Config, letters: Letters<'_>) -> Option<Estimate> {
    let Letters { pipeline, stage, count, bytes, preview, spent } = letters;
    let asks = config.asks(pipeline, stage)?;
    let calls = match preview {
        // Of a large plan the ledger was asked for the first only.
        Some(Preview { asked: asked @ 1.., run, unknown, .. }) => {
            share(count, run.saturating_add(unknown), asked)
        }
        _ => count,
    };
    let spent = spent.filter(|spent| spent.calls > 0);
    let by_bytes = share(bytes.div_ceil(BYTES_PER_TOKEN), calls, count.max(1));
    let input = match spent {
        Some(spent) if spent.calls >= count => share(calls, spent.input, spent.calls),
        // What was counted of some may be little beside the others.
        Some(spent) => by_bytes.max(share(calls, spent.input, spent.calls)),
        None => by_bytes,
    };
    let output = calls.saturating_mul(asks.answer_max.unwrap_or_default().into());
    let price = config.price(asks.provider, asks.model);
    Some(Estimate {
        cost: price.map(|price| price.of(input, output)),
        currency: config.currency.clone(),
        provider: asks.provider.to_owned(),
        model: asks.model.to_owned(),
        calls,
        input,
        output,
        measured: spent.map_or(0, |spent| spent.calls),
    })
}

/// Whether it may cost that much, by the prices that hold now. What it will cost is not known where a price is missing, and so it is not below any limit.
pub fn check(config: &Config, plan: &Plan, limits: Limits) -> Check {
    const NAME: &str = "cost";
    let Some(Asks { provider, model, .. }) = config.asks(&plan.pipeline, &plan.stage) else {
        return holds(NAME, "the stage asks no provider");
    };
    let price = config.price(provider, model);
    let estimate = plan.estimate.as_ref();
    let cost = estimate.zip(price).map(|(estimate, price)| price.of(estimate.input, estimate.output));
    let currency = &config.currency;
    let most = [limits.cost, plan.policy.max_cost].into_iter().flatten().min();
    match (cost, most) {
        (Some(cost), None) => holds(NAME, format!("at most {cost} {currency}, and no limit is set")),
        (None, None) => holds(NAME, "it is not known, and no limit is set"),
        (Some(cost), Some(most)) => {
            let found = format!("at most {cost} {currency}; it may be {most}");
            if cost <= most { holds(NAME, found) } else { fails(NAME, found) }
        }
        (None, Some(most)) => {
            let why = match estimate {
                None => "the plan has no estimate".to_owned(),
                Some(_) => format!("the configuration has no price of {model} of '{provider}'"),
            };
            fails(NAME, format!("it is not known: {why}; it may be {most} {currency}"))
        }
    }
}

/// `part` of `whole` of them, rounded up.
fn share(of: u64, part: u64, whole: u64) -> u64 {
    let share = (u128::from(of) * u128::from(part)).div_ceil(u128::from(whole.max(1)));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = include_str!("../../../lazaret.yaml")
            .replace("  local:\n", "  local:\n    prices: { lazaret-extract: { input: 1, output: 10 } }\n");
        Config::parse(&text, "lazaret.yaml").expect("a configuration")
    }

    fn letters(stage: &str) -> Letters<'_> {
        Letters { pipeline: "rag-answer", stage, count: 100, bytes: 400_000, preview: None, spent: None }
    }

    #[test]
    fn a_stage_that_asks_nobody_costs_nothing() {
        assert_eq!(estimate(&config(), letters("ground")), None);
    }

    #[test]
    fn without_a_measure_it_is_by_bytes_and_an_answer_is_as_long_as_it_may_be() {
        let found = estimate(&config(), letters("generate")).expect("a provider");
        assert_eq!((found.calls, found.input, found.measured), (100, 100_000, 0));
        assert_eq!(found.output % 100, 0);
        let cost = found.cost.expect("a price").parts();
        assert_eq!(cost, (100_000 + found.output * 10) * 1000, "billionths");
    }

    #[test]
    fn what_providers_have_counted_is_a_better_measure() {
        let spent = Some(Spent { input: 9_000, output: 70, calls: 3 });
        let found = estimate(&config(), Letters { spent, ..letters("generate") }).expect("a provider");
        assert_eq!((found.calls, found.input, found.measured), (100, 300_000, 3));
    }

    #[test]
    fn what_the_ledger_knows_as_done_is_not_asked_again() {
        let preview = Some(Preview { asked: 100, done: 40, under_way: 10, unknown: 5, run: 45 });
        let found = estimate(&config(), Letters { preview, ..letters("generate") }).expect("a provider");
        assert_eq!((found.calls, found.input), (50, 50_000));
        let preview = Some(Preview { asked: 10, done: 5, under_way: 0, unknown: 0, run: 5 });
        let found = estimate(&config(), Letters { preview, ..letters("generate") }).expect("a provider");
        assert_eq!(found.calls, 50, "the others are taken to be like the first");
    }

    #[test]
    fn a_model_without_a_price_has_tokens_and_no_cost() {
        let found = estimate(&config(), letters("retrieve")).expect("a provider");
        assert_eq!((found.input, found.output, found.cost), (100_000, 0, None));
    }
}
