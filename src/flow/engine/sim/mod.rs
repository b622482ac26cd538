//! The simulator: real engines in a world that a seed decides. Kafka, the group, the ledger, the stage and the
//! processes are modelled, and everything goes wrong in every order; time passes when the seed says so. Nothing of it
//! is a test of the models: the engine's promises are checked at every step, against what is true.
//!
//! - `dice`: chance that can be repeated. `plan`: what a seed decides beforehand.
//! - `world`: what all live in: `broker`, `log`, `group`, `ledger`, and the weather.
//! - `member`: a process: the engine, and what `worker` does around it, in `arrivals`, `hands`, `task`, `transact`.
//! - `run`: what happens next. `faults`: what goes wrong. `rest`: how it has to end.
//! - `truth`: where every record really is, and what must never happen.
//!
//! `LAZARET_SIM_SEEDS` is how many seeds are run, `LAZARET_SIM_FROM` the first one, `LAZARET_SIM_FAILURES` after how
//! many that fail it ends; with `LAZARET_SIM_TRACE` every event and every effect is told.

mod arrivals;
mod broker;
mod dice;
mod faults;
mod group;
mod hands;
mod ledger;
mod log;
mod member;
mod plan;
mod rest;
mod run;
mod task;
mod transact;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use run::World;

/// Enough for some twenty seconds without optimisation.
const SEEDS: u64 = 3_000;

/// In so many worlds everything happens.
const LIVELY: u64 = 1_000;
const MUST_HAPPEN: [&str; 14] = [
    "aborted transactions",
    "crashes",
    "dead letters",
    "discards",
    "fenced transactions",
    "ousted",
    "outputs",
    "parked",
    "pauses",
    "redrives",
    "retries",
    "standstills",
    "transactions",
    "undone transactions",
];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn seeds() {
    let (from, seeds) =
        (setting("LAZARET_SIM_FROM").unwrap_or(0), setting("LAZARET_SIM_SEEDS").unwrap_or(SEEDS));
    let traces = setting("LAZARET_SIM_TRACE").is_some();
    let most = setting("LAZARET_SIM_FAILURES").unwrap_or(1);
    let (mut run, mut steps, mut calls, mut failures) = (0, 0, 0, 0);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in from..from + seeds {
        run += 1;
        match catch_unwind(|| World::new(seed, traces).run()) {
            Ok(end) => {
                steps += end.steps;
                calls += end.calls;
                end.seen.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
            }
            Err(_) => {
                failures += 1;
                eprintln!(
                    "seed {seed} fails; to see every step: \
                     LAZARET_SIM_FROM={seed} LAZARET_SIM_SEEDS=1 LAZARET_SIM_TRACE=1\n"
                );
            }
        }
        if failures == most {
            break;
        }
    }
    println!(
        "{run} seeds from {from}: {steps} steps, {calls} calls of the stage, {failures} failures; {seen:?}"
    );
    assert_eq!(failures, 0, "seeds that fail");
    if run >= LIVELY {
        let missing: Vec<_> = MUST_HAPPEN.iter().filter(|what| !seen.contains_key(*what)).collect();
        assert!(missing.is_empty(), "a world in which these never happen proves little: {missing:?}");
    }
}
