//! Random lives of a few jobs, against the promises that must hold in each.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::ledger::contract::{LEASE, at, attempt};

/// One step of a random life. Small numbers, so that claims collide.
#[derive(Clone, Debug)]
enum Step {
    Begin {
        job: u8,
        redrives: u32,
        attempt: u32,
    },
    Store {
        lease: usize,
    },
    Settle {
        lease: usize,
        end: u8,
    },
    /// A partition comes back, and all records that were read before this many steps have ended in Kafka.
    Recover {
        ago: usize,
    },
    Crash,
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..3, 0u32..3, 0u32..3).prop_map(|(job, redrives, attempt)| Step::Begin { job, redrives, attempt }),
        2 => (0usize..8).prop_map(|lease| Step::Store { lease }),
        4 => ((0usize..8), 0u8..6).prop_map(|(lease, end)| Step::Settle { lease, end }),
        1 => (0usize..6).prop_map(|ago| Step::Recover { ago }),
        1 => Just(Step::Crash),
        1 => Just(Step::Wait),
    ];
    proptest::collection::vec(step, 1..40)
}

fn ending(kind: u8, attempt: u32) -> End {
    let fault = crate::flow::Fault::new(crate::flow::Code::LlmTimeout, "slow");
    match kind {
        0 => End::Done,
        1 => End::Waiting { attempt, due: second(9), rung: "rung".into(), fault },
        2 => End::Dead { attempt, dead_letter: "letter".into(), fault },
        3 => End::Parked { topic: "parking".into() },
        4 => End::Discarded { by: "ada".into(), reason: "old".into() },
        _ => End::Released { fault: None },
    }
}

/// What must be true of one job, whatever happens.
#[derive(Default)]
struct Model {
    done: bool,
    result: Option<Vec<u8>>,
    /// The only lease that may store and settle.
    token: Option<i64>,
    /// The step that claimed it, if nothing but a release was said of the claim since.
    claimed: Option<usize>,
    /// The redrives with which it was given up.
    discarded: Option<u32>,
}

async fn live(path: &Path, steps: Vec<Step>) {
    let mut ledger = open_at(path, "a");
    let mut jobs: HashMap<String, Model> = HashMap::new();
    let mut leases: Vec<(Lease, u32, u32)> = Vec::new();
    let mut now = 0;
    for (n, step) in steps.into_iter().enumerate() {
        match step {
            Step::Begin { job, redrives, attempt: failed } => {
                let name = format!("job-{job}");
                let place = at("in", 2, n as i64);
                let claim = Claim { now: second(now), at: place, ..attempt(&name, redrives, failed) };
                let job = jobs.entry(name).or_default();
                let lease = match ledger.begin(claim).await.expect("the ledger works") {
                    Begin::Fresh(lease) => {
                        assert_eq!(job.result, None, "paid twice");
                        lease
                    }
                    Begin::Stored(lease, result) => {
                        assert_eq!(job.result.as_ref(), Some(&result));
                        lease
                    }
                    Begin::Condemned(..) => panic!("nobody condemned it"),
                    Begin::Ousted => panic!("nobody took the partition over"),
                    Begin::Finished(_) | Begin::Repeated | Begin::Busy => continue,
                };
                assert!(!job.done, "run after it was done");
                assert!(
                    job.discarded.is_none_or(|given_up| given_up < redrives),
                    "run after it was given up"
                );
                (job.token, job.claimed, job.discarded) = (Some(lease.token), Some(n), None);
                leases.push((lease, redrives, failed));
            }
            Step::Store { lease } => {
                let Some((lease, ..)) = leases.get(lease) else { continue };
                let job = jobs.entry(lease.job.clone()).or_default();
                let stored = ledger.store(lease, vec![n as u8], second(now)).await;
                assert_eq!(stored.is_ok(), job.token == Some(lease.token));
                if stored.is_ok() {
                    job.result.get_or_insert(vec![n as u8]);
                }
            }
            Step::Settle { lease, end } => {
                let Some((lease, redrives, failed)) = leases.get(lease) else { continue };
                let job = jobs.entry(lease.job.clone()).or_default();
                let settled = ledger.settle(lease, ending(end, failed + 1), second(now)).await;
                if job.token == Some(lease.token) {
                    settled.expect("the lease was held");
                    job.token = None;
                    if !matches!(ending(end, 0), End::Released { .. }) {
                        job.claimed = None;
                    }
                    match ending(end, 0) {
                        End::Done => (job.done, job.result) = (true, None),
                        End::Discarded { .. } => job.discarded = Some(*redrives),
                        _ => {}
                    }
                }
            }
            Step::Recover { ago } => {
                let below = n.saturating_sub(ago);
                let mut recovery = outstanding::recovery(Holding::Nothing);
                recovery.families[0].seen[0].ended.below = below as i64;
                ledger.recover(recovery).await.expect("the ledger works");
                for job in jobs.values_mut() {
                    if job.claimed.is_some_and(|step| step < below) {
                        // With a result it was produced; without one the record climbed to a rung.
                        *job = Model { done: job.result.is_some(), ..Model::default() };
                    }
                }
            }
            Step::Crash => {
                drop(ledger);
                ledger = open_at(path, "a");
            }
            Step::Wait => now += LEASE.as_secs() as i64,
        }
    }
    drop(ledger);
    assert_eq!(miscounted(path), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_life_finishes_a_job_twice_or_pays_twice(steps in steps()) {
        let (_folder, path) = folder();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(live(&path, steps));
    }
}
