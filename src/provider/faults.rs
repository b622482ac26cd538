//! Which call fails and how: seeded, so that a run can be repeated. Pure; the same body's n-th try has the same
//! fate for the same seed, whatever else is asked in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Span;

/// Identifies a request: endpoint and body.
pub type BodyHash = blake3::Hash;

/// How often calls fail, as shares of all calls from 0 to 1, and how long an answer takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// 429 with Retry-After, in seconds or as a date.
    pub rate_limit: f64,
    /// 500.
    pub server_error: f64,
    /// 503 with Retry-After.
    pub overloaded: f64,
    /// No answer until the client gives up.
    pub hang: f64,
    /// An answer that is cut off.
    pub truncate: f64,
    /// 401, as if the key had been revoked.
    pub unauthorized: f64,
    /// 429 `insufficient_quota`, as if the money were gone.
    pub quota: f64,
    /// 500 for every call whose body contains this text.
    pub marked: Option<String>,
    /// An answer of no use, which is billed all the same, for every call whose body contains this text.
    pub spoiled: Option<String>,
    /// Least time until an answer.
    pub latency: Span,
    /// At most this much on top.
    pub jitter: Span,
}

impl Default for Rates {
    /// No faults, no delay.
    fn default() -> Self {
        Self {
            rate_limit: 0.0,
            server_error: 0.0,
            overloaded: 0.0,
            hang: 0.0,
            truncate: 0.0,
            unauthorized: 0.0,
            quota: 0.0,
            marked: None,
            spoiled: None,
            latency: Span::millis(0),
            jitter: Span::millis(0),
        }
    }
}

/// The rates cannot be meant.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum RatesError {
    #[error("{name} is {value}; a rate is a share from 0 to 1")]
    OutOfRange { name: &'static str, value: f64 },
    #[error("the rates add up to {0}, which is more than 1")]
    TooMany(f64),
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answer,
    RateLimit {
        seconds: u64,
        /// Retry-After as an HTTP-date instead of seconds.
        as_date: bool,
    },
    ServerError,
    Overloaded {
        seconds: u64,
    },
    Hang,
    Truncate {
        /// The connection breaks; otherwise the answer ends early but in good order.
        abruptly: bool,
    },
    Unauthorized,
    Quota,
}

impl Rates {
    /// The rates, if they are shares and leave room for each other.
    pub fn checked(self) -> Result<Self, RatesError> {
        let shares = [
            ("rate_limit", self.rate_limit),
            ("server_error", self.server_error),
            ("overloaded", self.overloaded),
            ("hang", self.hang),
            ("truncate", self.truncate),
            ("unauthorized", self.unauthorized),
            ("quota", self.quota),
        ];
        if let Some((name, value)) = shares.into_iter().find(|(_, v)| !(0.0..=1.0).contains(v)) {
            return Err(RatesError::OutOfRange { name, value });
        }
        let sum: f64 = shares.iter().map(|(_, v)| v).sum();
        // Shares such as ten times 0.1 add up to a little more than 1.
        if sum > 1.0 + 1e-9 { Err(RatesError::TooMany(sum)) } else { Ok(self) }
    }
}

impl Rates {
    /// Whether every call with this body is to fail.
    pub fn marks(&self, body: &[u8]) -> bool {
        contains(body, self.marked.as_deref())
    }

    /// Whether the answers to every call with this body are of no use.
    pub fn spoils(&self, body: &[u8]) -> bool {
        contains(body, self.spoiled.as_deref())
    }
}

fn contains(body: &[u8], mark: Option<&str>) -> bool {
    mark.is_some_and(|mark| memchr::memmem::find(body, mark.as_bytes()).is_some())
}

/// The fate of the `attempt`th try (from 0) of a body.
pub fn fate(seed: u64, body: &BodyHash, attempt: u32, rates: &Rates) -> Fate {
    let dice = Dice::throw(seed, body, attempt);
    let seconds = 1 + dice.variant % 2;
    let odd = dice.variant & 4 != 0;
    let fates = [
        (rates.rate_limit, Fate::RateLimit { seconds, as_date: odd }),
        (rates.server_error, Fate::ServerError),
        (rates.overloaded, Fate::Overloaded { seconds }),
        (rates.hang, Fate::Hang),
        (rates.truncate, Fate::Truncate { abruptly: odd }),
        (rates.unauthorized, Fate::Unauthorized),
        (rates.quota, Fate::Quota),
    ];
    let mut left = dice.fate;
    for (share, fate) in fates {
        if left < share {
            return fate;
        }
        left -= share;
    }
    Fate::Answer
}

/// How long the `attempt`th try of a body takes before its fate comes.
pub fn latency(seed: u64, body: &BodyHash, attempt: u32, rates: &Rates) -> Duration {
    rates.latency.0 + rates.jitter.0.mul_f64(Dice::throw(seed, body, attempt).jitter)
}

/// Independent numbers for one try.
struct Dice {
    /// 0 to 1, without 1.
    fate: f64,
    /// 0 to 1, without 1.
    jitter: f64,
    variant: u64,
}

impl Dice {
    fn throw(seed: u64, body: &BodyHash, attempt: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(body.as_bytes()).update(&attempt.to_le_bytes());
        let mut output = hasher.finalize_xof();
        let mut next = || {
            let mut bytes = [0; 8];
            output.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        // The upper 53 bits are what an f64 holds exactly.
        let share = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        Self { fate: share(next()), jitter: share(next()), variant: next() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(n: u32) -> BodyHash {
        blake3::hash(&n.to_le_bytes())
    }

    fn rates() -> Rates {
        Rates {
            rate_limit: 0.1,
            server_error: 0.1,
            overloaded: 0.1,
            hang: 0.1,
            truncate: 0.1,
            jitter: Span::millis(10),
            ..Rates::default()
        }
    }

    #[test]
    fn a_seed_repeats_itself_and_another_seed_does_not() {
        let fates = |seed| (0..500).map(|n| fate(seed, &body(n), 0, &rates())).collect::<Vec<_>>();
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }

    #[test]
    fn each_kind_has_about_its_share() {
        let fates: Vec<Fate> = (0..10_000).map(|n| fate(1, &body(n), 0, &rates())).collect();
        let count = |kind: fn(&Fate) -> bool| fates.iter().filter(|f| kind(f)).count();
        let shares = [
            count(|f| matches!(f, Fate::RateLimit { as_date: true, .. })) * 2,
            count(|f| matches!(f, Fate::RateLimit { as_date: false, .. })) * 2,
            count(|f| matches!(f, Fate::ServerError)),
            count(|f| matches!(f, Fate::Overloaded { .. })),
            count(|f| matches!(f, Fate::Hang)),
            count(|f| matches!(f, Fate::Truncate { .. })),
        ];
        assert!(shares.iter().all(|n| (850..1150).contains(n)), "{shares:?}");
    }

    #[test]
    fn every_body_succeeds_in_the_end() {
        for n in 0..1_000 {
            assert!((0..60).any(|attempt| fate(3, &body(n), attempt, &rates()) == Fate::Answer), "body {n}");
        }
    }

    #[test]
    fn no_rates_means_no_faults_and_a_rate_of_one_means_nothing_else() {
        let down = Rates { server_error: 1.0, ..Rates::default() };
        for n in 0..1_000 {
            assert_eq!(fate(1, &body(n), 0, &Rates::default()), Fate::Answer);
            assert_eq!(fate(1, &body(n), 0, &down), Fate::ServerError);
        }
    }

    #[test]
    fn latency_stays_within_its_jitter() {
        let rates = Rates { latency: Span::millis(20), jitter: Span::millis(10), ..Rates::default() };
        let waits: Vec<Duration> = (0..100).map(|n| latency(1, &body(n), 0, &rates)).collect();
        assert!(waits.iter().all(|w| (20..30).contains(&(w.as_millis() as u64))));
        assert!(waits.iter().any(|w| *w != waits[0]));
    }

    #[test]
    fn rates_that_cannot_be_meant_are_refused() {
        for (rates, message) in [
            (Rates { hang: 1.5, ..Rates::default() }, "hang is 1.5"),
            (Rates { hang: -0.1, ..Rates::default() }, "hang is -0.1"),
            (Rates { quota: f64::NAN, ..Rates::default() }, "quota is NaN"),
            (Rates { hang: 0.6, truncate: 0.6, ..Rates::default() }, "add up to 1.2"),
        ] {
            let error = rates.checked().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        assert!(rates().checked().is_ok());
    }
}
