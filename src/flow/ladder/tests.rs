use proptest::prelude::*;

use super::*;
use crate::message::arbitrary;

const SECOND: Duration = Duration::from_secs(1);

fn ladder() -> Ladder {
    Ladder {
        limits: Limits { max_attempts: 5, base: SECOND, cap: 60 * SECOND, max_elapsed: 600 * SECOND },
        overrides: BTreeMap::new(),
        factor: 4.0,
        jitter: 0.0,
        rungs: vec![SECOND, 10 * SECOND, 60 * SECOND],
        stepwise: false,
    }
}

fn now() -> Timestamp {
    "2026-11-22T00:00:00Z".parse().unwrap()
}

fn past(failures: u32) -> Past {
    Past { failures, first_failure: Some(now()), seed: 1 }
}

fn timeout() -> Fault {
    Fault::new(Code::LlmTimeout, "slow")
}

#[test]
fn waits_grow_by_the_factor_up_to_the_cap_and_take_the_rung_that_is_long_enough() {
    let steps: Vec<Step> = (0..4).map(|n| ladder().next(&timeout(), past(n), now())).collect();
    let wait = |rung, secs: u64| Step::Wait { rung, due: now() + Duration::from_secs(secs) };
    assert_eq!(steps, [wait(0, 1), wait(1, 4), wait(2, 16), wait(2, 60)]);
}

#[test]
fn the_last_attempt_is_followed_by_none() {
    assert!(
        matches!(ladder().next(&timeout(), past(4), now()), Step::GiveUp { why } if why.contains("5 attempts"))
    );
}

#[test]
fn retry_after_decides_the_due_time_exactly_even_beyond_the_cap() {
    let fault = timeout().with_retry_after(Some(Duration::from_millis(90_250)));
    let step = ladder().next(&fault, past(0), now());
    assert_eq!(step, Step::Wait { rung: 2, due: now() + Duration::from_millis(90_250) });
}

#[test]
fn a_wait_that_would_end_after_max_elapsed_is_not_begun() {
    let late = now() + 599 * SECOND;
    assert!(
        matches!(ladder().next(&timeout(), past(1), late), Step::GiveUp { why } if why.contains("max_elapsed"))
    );
}

#[test]
fn a_wait_may_end_exactly_with_max_elapsed() {
    let late = now() + 596 * SECOND;
    assert_eq!(ladder().next(&timeout(), past(1), late), Step::Wait { rung: 1, due: now() + 600 * SECOND });
}

#[test]
fn a_seed_is_mixed_as_the_books_mix_it() {
    // The first numbers that SplitMix64 gives for these seeds.
    for (seed, number) in [(0, 16_294_208_416_658_607_535_u64), (1_234_567, 6_457_827_717_110_365_317)] {
        assert_eq!(unit(seed), (number / 2048) as f64 / 9_007_199_254_740_992.0);
    }
}

#[test]
fn jitter_makes_a_wait_longer_or_shorter_by_its_share() {
    let ladder = Ladder { jitter: 0.5, ..ladder() };
    let wait = |seed| ladder.backoff(&ladder.limits, Past { seed, ..past(0) }).as_secs_f64();
    // The draws are 0.883 and 0.350, and 0.5 is the middle.
    assert!((wait(0) - 1.191_655_404).abs() < 1e-8, "{}", wait(0));
    assert!((wait(1_234_567) - 0.925_039_771).abs() < 1e-8, "{}", wait(1_234_567));
}

#[test]
fn a_code_can_have_limits_of_its_own() {
    let mut ladder = ladder();
    ladder.overrides.insert(Code::LlmTimeout, Limits { max_attempts: 1, ..ladder.limits });
    assert!(matches!(ladder.next(&timeout(), past(0), now()), Step::GiveUp { .. }));
    let other = Fault::new(Code::LlmServerError, "500");
    assert!(matches!(ladder.next(&other, past(0), now()), Step::Wait { .. }));
}

#[test]
fn a_due_time_between_two_milliseconds_is_rounded_up() {
    let fault = timeout().with_retry_after(Some(Duration::from_nanos(1_000_001)));
    let Step::Wait { due, .. } = ladder().next(&fault, past(0), now()) else { panic!("no wait") };
    assert_eq!(due, now() + Duration::from_millis(2));
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Spans as a configuration can say them: up to half a billion years.
fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0u64..100_000).prop_map(ms),
        2 => (0u64..1_000_000_000).prop_map(ms),
        1 => any::<u64>().prop_map(ms),
        1 => (any::<u64>(), 0u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
    ]
}

fn any_ladder() -> impl Strategy<Value = Ladder> {
    let limits = (prop_oneof![1u32..20, 1..=u32::MAX], span(), span(), span())
        .prop_map(|(max_attempts, base, cap, max_elapsed)| Limits { max_attempts, base, cap, max_elapsed });
    let rungs = proptest::collection::vec((0u64..1_000_000).prop_map(ms), 1..6);
    (limits, prop_oneof![1.0f64..4.0, Just(1e300)], 0.0f64..=1.0, rungs, any::<bool>()).prop_map(
        |(limits, factor, jitter, mut rungs, stepwise)| {
            rungs.sort();
            Ladder { limits, overrides: BTreeMap::new(), factor, jitter, rungs, stepwise }
        },
    )
}

#[test]
fn a_stepwise_ladder_climbs_one_rung_with_each_failure_and_stays_on_the_last() {
    let ladder = Ladder { stepwise: true, ..ladder() };
    let steps: Vec<Step> = (0..4).map(|n| ladder.next(&timeout(), past(n), now())).collect();
    let wait = |rung, seconds| Step::Wait { rung, due: now() + seconds * SECOND };
    assert_eq!(steps, [wait(0, 1), wait(1, 10), wait(2, 60), wait(2, 60)]);

    let spread = Ladder { jitter: 0.5, ..ladder };
    let wait = spread.backoff(&spread.limits, past(1));
    assert!(wait <= 10 * SECOND && wait >= 5 * SECOND, "{wait:?}");
}

proptest! {
    #[test]
    fn jitter_stays_within_its_share_and_below_the_cap(seed: u64, failures in 0u32..2_000, jitter in 0.0f64..=1.0) {
        let mut ladder = ladder();
        ladder.jitter = jitter;
        let wait = ladder.backoff(&ladder.limits, Past { failures, first_failure: None, seed }).as_secs_f64();
        let plain = 4f64.powi(failures as i32).min(60.0);
        prop_assert!(wait >= plain * (1.0 - jitter / 2.0) - 1e-6 && wait <= (plain * (1.0 + jitter / 2.0)).min(60.0) + 1e-6);
    }

    #[test]
    fn no_step_is_due_before_the_wait_is_over(ms in 0u64..10_000_000, nanos in 0u32..999_999) {
        let wait = Duration::from_millis(ms) + Duration::from_nanos(nanos.into());
        let mut ladder = ladder();
        ladder.limits.max_elapsed = Duration::from_secs(1_000_000);
        if let Step::Wait { due, rung } = ladder.next(&timeout().with_retry_after(Some(wait)), past(0), now()) {
            prop_assert!(due >= now() + wait);
            prop_assert!(ladder.rungs[rung] >= wait || rung == 2);
        }
    }

    /// Whatever the limits, the clock and the past are: a record gives up for a reason, or waits at least as long as
    /// it was asked to, on a rung that there is, within its limits.
    #[test]
    fn a_step_keeps_every_limit(
        ladder in any_ladder(),
        failures in prop_oneof![0u32..20, any::<u32>()],
        first in proptest::option::of(arbitrary::time()),
        seed: u64,
        now in arbitrary::time(),
        asked in proptest::option::of(span()),
    ) {
        let fault = timeout().with_retry_after(asked);
        let past = Past { failures, first_failure: first, seed };
        match ladder.next(&fault, past, now) {
            Step::GiveUp { why } => prop_assert!(why.starts_with("gave up after ")),
            Step::Wait { rung, due } => {
                prop_assert!(failures < ladder.limits.max_attempts - 1);
                prop_assert!(due <= later(first.unwrap_or(now), ladder.limits.max_elapsed));
                prop_assert!(due >= later(now, asked.unwrap_or_default()).max(now));
                prop_assert!(asked.is_some_and(|asked| !asked.is_zero()) || due <= later(now, ladder.limits.cap));
                prop_assert!(rung < ladder.rungs.len());
                let wait = Duration::try_from(due.duration_since(now)).unwrap();
                prop_assert!(ladder.rungs[rung] + ms(1) >= wait || rung + 1 == ladder.rungs.len());
            }
        }
        prop_assert_eq!(ladder.next(&fault, past, now), ladder.next(&fault, past, now));
    }

    #[test]
    fn attempts_are_bounded_however_the_clock_stands_still(ladder in any_ladder(), seed: u64) {
        let limit = ladder.limits.max_attempts.min(1_000);
        let mut ladder = ladder;
        ladder.limits.max_attempts = limit;
        let step = |failures| ladder.next(&timeout(), Past { failures, first_failure: Some(now()), seed }, now());
        let waits = (0..=limit).take_while(|failures| matches!(step(*failures), Step::Wait { .. })).count();
        prop_assert!(waits < limit.max(1) as usize);
    }
}
