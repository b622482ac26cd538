//! What a job has taken of a provider, as text headers tell it: in the control block of those that wait, and in dead letters. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Headers;
use super::payload::Usage;

/// Most tokens, or calls, that a header is believed: sums of many must not run over.
const MOST: u64 = 1_000_000_000_000;

/// Tokens of calls to a provider, as it counted them, and how many calls that were. Calls of which it said nothing are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Of what it was asked.
    pub input: u64,
    /// Of what it answered.
    pub output: u64,
    pub calls: u64,
}

/// The headers that tell it.
#[derive(Clone, Copy, Debug)]
pub struct SpentNames {
    pub input: &'static str,
    pub output: &'static str,
    pub calls: &'static str,
}

impl Spent {
    /// Of one call; `None` when the provider did not say.
    pub fn of(usage: Usage) -> Option<Self> {
        let Usage { prompt_tokens, completion_tokens } = usage;
        let said = prompt_tokens > 0 || completion_tokens > 0;
        said.then_some(Self { input: prompt_tokens.min(MOST), output: completion_tokens.min(MOST), calls: 1 })
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            calls: self.calls.saturating_add(other.calls),
        }
    }

    /// Both, as far as they are known.
    pub fn sum(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.plus(other)),
            (one, other) => one.or(other),
        }
    }

    pub fn write(self, names: SpentNames, headers: &mut Headers) {
        headers.push_text(names.input, self.input.to_string());
        headers.push_text(names.output, self.output.to_string());
        headers.push_text(names.calls, self.calls.to_string());
    }

    /// `None` when a header is missing, as in what older versions wrote, or is no number that can be believed.
    pub fn read(names: SpentNames, block: &Headers) -> Option<Self> {
        let number = |name| block.text(name)?.parse().ok().filter(|number| *number <= MOST);
        Some(Self { input: number(names.input)?, output: number(names.output)?, calls: number(names.calls)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: SpentNames = SpentNames { input: "in", output: "out", calls: "calls" };

    #[test]
    fn what_was_written_is_read_and_what_is_missing_or_no_number_is_unknown() {
        let spent = Spent { input: 1200, output: 0, calls: 2 };
        let mut headers = Headers::new();
        spent.write(NAMES, &mut headers);
        assert_eq!(Spent::read(NAMES, &headers), Some(spent));
        assert_eq!(Spent::read(NAMES, &Headers::new()), None);
        for wrong in ["-1", "1.5", "many", "9999999999999999"] {
            let mut headers = headers.clone();
            headers.push_text("out", wrong);
            assert_eq!(Spent::read(NAMES, &headers), None, "{wrong}");
        }
    }

    #[test]
    fn a_provider_that_does_not_say_leaves_it_unknown() {
        assert_eq!(Spent::of(Usage::default()), None);
        let said = Spent::of(Usage { prompt_tokens: 7, completion_tokens: 0 });
        assert_eq!(said, Some(Spent { input: 7, output: 0, calls: 1 }));
        assert_eq!(Spent::sum(said, None), said);
        assert_eq!(Spent::sum(said, said), Some(Spent { input: 14, output: 0, calls: 2 }));
        assert_eq!(Spent::sum(None, None), None);
    }
}
