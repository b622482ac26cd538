//! What letters have taken of providers, as far as it is known. Plain data.

use schemars::JsonSchema;
use serde::Serialize;

/// Tokens as providers counted them, of those letters of which it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tokens {
    /// Of what they were asked.
    pub input: u64,
    /// Of what they answered.
    pub output: u64,
    /// Of how many letters it is known.
    pub letters: u64,
}

/// Those of the letters of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensOf {
    pub pipeline: String,
    pub stage: String,
    pub tokens: Tokens,
}

impl Tokens {
    /// One letter more, of which it may not be known: then a number is negative.
    pub fn add(&mut self, input: i64, output: i64) {
        if let (Ok(input), Ok(output)) = (u64::try_from(input), u64::try_from(output)) {
            self.input = self.input.saturating_add(input);
            self.output = self.output.saturating_add(output);
            self.letters += 1;
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            letters: self.letters + other.letters,
        }
    }

    /// `None` when it is known of no letter.
    pub fn known(self) -> Option<Self> {
        (self.letters > 0).then_some(self)
    }
}
