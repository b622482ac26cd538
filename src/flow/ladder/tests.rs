use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ladder() -> Ladder {
    Ladder {
        limits: Limits { max_attempts: 5, base: SECOND, cap: 60 * SECOND, max_elapsed: 600 * SECOND },
        overrides: BTreeMap::new(),
        factor: 4.0,
        jitter: 0.0,
        rungs: vec![SECOND, 10 * SECOND, 60 * SECOND],
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
}
