//! What a process did in Kafka and did not live to tell, and what later records have to wait for. Each test has
//! a pipeline of its own, since a recovery looks at all jobs of a stage.

use std::ops::Range;
use std::sync::Arc;

use super::{Open, at, attempt, begin, claim, dead, fault, fenced, fresh, replayed, second, waiting};
use crate::ledger::{
    Begin, Claim, End, Ended, Family, Holding, Lease, Ledger, LedgerError, Outstanding, Recovery, Seen, State,
};
use crate::message::{TopicPartition, deadletter};

pub async fn contract(open: &impl Open) {
    a_stored_job_whose_record_ended_is_done(open("a").await).await;
    what_ended_beyond_the_committed_offset_counts_and_what_did_not_end_does_not(open("a").await).await;
    the_last_record_that_claimed_a_job_decides(open("a").await).await;
    other_stages_and_partitions_are_left_alone(open("a").await).await;
    a_condemned_job_whose_record_ended_is_dead(open("a").await).await;
    a_job_that_was_let_go_of_while_its_output_was_committed_is_done(open("a").await).await;
    a_job_whose_record_ended_while_it_ran_is_on_a_rung(open).await;
    leases_of_a_process_that_is_gone_end_when_its_partition_is_taken_over(open).await;
    whoever_takes_a_partition_over_is_the_only_one_to_claim_there(open).await;
    a_holder_that_lives_may_say_the_same_end_again_and_no_other(open("a").await).await;
    recovering_twice_is_recovering_once(open("a").await).await;
    what_is_not_over_holds_up_its_key(open("a").await).await;
    origin_and_order_are_those_of_the_record_that_has_the_job(open("a").await).await;
    every_hash_of_a_key_comes_back(open("a").await).await;
}

/// What was committed for these partitions, all of which follow `in-2`.
fn seen(pipeline: &str, seen: &[(&str, i32, i64, Range<i64>)]) -> Recovery {
    let seen = seen.iter().map(|(topic, partition, below, beyond)| Seen {
        partition: TopicPartition::new(*topic, *partition),
        ended: Ended { below: *below, ranges: vec![beyond.clone()] },
    });
    Recovery {
        pipeline: pipeline.into(),
        stage: "embed".into(),
        families: vec![Family { input: TopicPartition::new("in", 2), term: 0, seen: seen.collect() }],
        holding: Holding::LiveAndDead,
        now: second(50),
    }
}

async fn recover(ledger: &dyn Ledger, recovery: Recovery) -> Vec<Outstanding> {
    ledger.recover(recovery).await.expect("the ledger works")
}

fn of(pipeline: &str, claim: Claim) -> Claim {
    Claim { pipeline: pipeline.into(), ..claim }
}

/// A job that ran and whose result is stored, claimed by the record at this place.
async fn stored(ledger: &dyn Ledger, claim: Claim) -> Lease {
    let lease = fresh(ledger, claim).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    lease
}

async fn a_stored_job_whose_record_ended_is_done(ledger: Arc<dyn Ledger>) {
    let claim = of("r-stored", claim("r-stored"));
    stored(&*ledger, claim.clone()).await;
    recover(&*ledger, seen("r-stored", &[("in", 2, 8, 0..0)])).await;
    assert_eq!(begin(&*ledger, claim).await, Begin::Finished(State::Done));
    let life = ledger.history("r-stored").await.expect("the ledger works");
    let kinds: Vec<_> = life.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["started", "stored", "done", "duplicate"]);
    assert_eq!(life[2].at, second(50));
    assert!(life[2].remark.as_deref().is_some_and(|text| text.starts_with("recovered")), "{:?}", life[2]);
}

async fn what_ended_beyond_the_committed_offset_counts_and_what_did_not_end_does_not(
    ledger: Arc<dyn Ledger>,
) {
    let claim = |offset| of("r-map", Claim { at: at("in", 2, offset), ..claim(&format!("r-map-{offset}")) });
    for offset in 10..20 {
        stored(&*ledger, claim(offset)).await;
    }
    recover(&*ledger, seen("r-map", &[("in", 2, 12, 15..18)])).await;
    let mut done = Vec::new();
    for offset in 10..20 {
        let again = Claim { now: second(3600), ..claim(offset) };
        match begin(&*ledger, again).await {
            Begin::Finished(State::Done) => done.push(offset),
            Begin::Stored(_, result) => assert_eq!(result, b"dear"),
            other => panic!("neither done nor stored: {other:?}"),
        }
    }
    assert_eq!(done, [10, 11, 15, 16, 17]);
}

async fn the_last_record_that_claimed_a_job_decides(ledger: Arc<dyn Ledger>) {
    let first = of("r-last", claim("r-last"));
    let lease = fresh(&*ledger, first.clone()).await;
    ledger.settle(&lease, waiting(1), second(1)).await.expect("held");
    let copy = Claim { attempt: 1, at: at("rung", 2, 3), ..first };
    stored(&*ledger, copy.clone()).await;
    recover(&*ledger, seen("r-last", &[("in", 2, 100, 0..0), ("rung", 2, 3, 0..0)])).await;
    assert_eq!(begin(&*ledger, copy.clone()).await, Begin::Busy, "its copy has not ended");
    recover(&*ledger, seen("r-last", &[("in", 2, 100, 0..0), ("rung", 2, 4, 0..0)])).await;
    assert_eq!(begin(&*ledger, copy).await, Begin::Finished(State::Done));
}

async fn other_stages_and_partitions_are_left_alone(ledger: Arc<dyn Ledger>) {
    let here = of("r-apart", claim("r-apart"));
    let index = Claim { stage: "index".into(), ..here.clone() };
    let elsewhere = Claim { at: at("in", 3, 7), ..of("r-apart", claim("r-elsewhere")) };
    for claim in [&index, &elsewhere] {
        stored(&*ledger, claim.clone()).await;
    }
    recover(&*ledger, seen("r-apart", &[("in", 2, 100, 0..0), ("other", 3, 100, 0..0)])).await;
    recover(&*ledger, seen("r-other", &[("in", 3, 100, 0..0)])).await;
    for claim in [index, elsewhere] {
        assert_eq!(begin(&*ledger, claim).await, Begin::Busy, "still stored and held");
    }
}

async fn a_condemned_job_whose_record_ended_is_dead(ledger: Arc<dyn Ledger>) {
    let claim = of("r-dead", attempt("r-dead", 1, 3));
    let lease = stored(&*ledger, claim.clone()).await;
    ledger.condemn(&lease, &fault(), second(2)).await.expect("held");
    recover(&*ledger, seen("r-dead", &[("in", 2, 8, 0..0)])).await;
    assert_eq!(begin(&*ledger, claim.clone()).await, Begin::Finished(State::Dead));
    let life = ledger.history("r-dead").await.expect("the ledger works");
    let event = life.iter().find(|event| event.kind == "dead").expect("it is told");
    let letter = deadletter::id("r-dead", "embed", &claim.correlation.job, 1);
    assert_eq!((event.attempt, event.went_to.as_ref()), (3, Some(&letter)));
    ledger.settle(&lease, dead(4), second(3)).await.expect("the same end, said late");
    replayed(&*ledger, Claim { redrives: 2, attempt: 0, ..claim }, b"dear").await;
}

async fn a_job_that_was_let_go_of_while_its_output_was_committed_is_done(ledger: Arc<dyn Ledger>) {
    let paid = of("r-released", claim("r-released-paid"));
    let lease = stored(&*ledger, paid.clone()).await;
    ledger.settle(&lease, End::Released { fault: None }, second(2)).await.expect("held");
    let unpaid = of("r-released", claim("r-released"));
    let lease = fresh(&*ledger, unpaid.clone()).await;
    ledger.settle(&lease, End::Released { fault: None }, second(2)).await.expect("held");
    recover(&*ledger, seen("r-released", &[("in", 2, 8, 0..0)])).await;
    assert_eq!(begin(&*ledger, paid).await, Begin::Finished(State::Done));
    assert_eq!(begin(&*ledger, unpaid.clone()).await, Begin::Finished(State::Waiting));
    fresh(&*ledger, Claim { attempt: 1, ..unpaid }).await;
}

async fn a_job_whose_record_ended_while_it_ran_is_on_a_rung(open: &impl Open) {
    let (died, heir) = (open("r-died").await, open("r-heir").await);
    let first = of("r-rung", claim("r-rung"));
    let lost = fresh(&*died, first.clone()).await;
    let copy = Claim { attempt: 1, at: at("rung", 2, 0), ..first.clone() };
    assert_eq!(begin(&*heir, copy.clone()).await, Begin::Busy);
    recover(&*heir, seen("r-rung", &[("in", 2, 7, 0..0)])).await;
    assert_eq!(begin(&*heir, copy.clone()).await, Begin::Busy, "it may run still");
    recover(&*heir, seen("r-rung", &[("in", 2, 8, 0..0)])).await;
    assert_eq!(begin(&*heir, first).await, Begin::Finished(State::Waiting), "it failed, and climbed");
    fresh(&*heir, copy).await;
    assert!(fenced(died.settle(&lost, waiting(1), second(2)).await));
    assert_eq!(super::kinds(&*heir, "r-rung").await, ["started", "waiting", "duplicate", "started"]);
}

async fn leases_of_a_process_that_is_gone_end_when_its_partition_is_taken_over(open: &impl Open) {
    let (died, heir) = (open("r-gone").await, open("r-successor").await);
    let claim = of("r-gone", claim("r-gone"));
    stored(&*died, claim.clone()).await;
    recover(&*heir, seen("r-gone", &[])).await;
    assert_eq!(begin(&*heir, claim.clone()).await, Begin::Busy, "nobody knows that it is gone");
    drop(died);
    let again = open("r-gone").await;
    assert_eq!(begin(&*heir, claim.clone()).await, Begin::Busy, "nobody has looked what it did");
    recover(&*heir, seen("r-gone", &[])).await;
    replayed(&*heir, claim, b"dear").await;
    drop(again);
}

async fn whoever_takes_a_partition_over_is_the_only_one_to_claim_there(open: &impl Open) {
    let (zombie, owner) = (open("r-zombie").await, open("r-owner").await);
    let families = || vec![TopicPartition::new("in", 2)];
    let own = async |ledger: &dyn Ledger| ledger.own("r-term", "embed", families()).await.expect("a term");
    let (first, of_another) = (own(&*zombie).await, of("r-term-2", claim("r-term-2")));
    let job = |n: u32, term| Claim { term, ..of("r-term", claim(&format!("r-term-{n}"))) };
    let held = fresh(&*zombie, job(1, first)).await;
    let second_term = own(&*owner).await;
    assert!(second_term > first);

    assert_eq!(begin(&*zombie, job(2, first)).await, Begin::Ousted);
    assert_eq!(begin(&*zombie, job(1, first)).await, Begin::Ousted);
    let term = |term| {
        let mut recovery = seen("r-term", &[]);
        recovery.families[0].term = term;
        recovery
    };
    let late = zombie.recover(term(first)).await;
    assert!(matches!(late, Err(LedgerError::Ousted(_))), "what it has seen may be out of date: {late:?}");
    owner.recover(term(second_term)).await.expect("the ledger works");
    fresh(&*owner, job(2, second_term)).await;
    zombie.settle(&held, End::Done, second(1)).await.expect("nobody has taken that job over");
    let other = Claim { family: TopicPartition::new("in", 3), ..job(3, first) };
    fresh(&*zombie, other).await;
    fresh(&*zombie, of_another).await;
}

async fn a_holder_that_lives_may_say_the_same_end_again_and_no_other(ledger: Arc<dyn Ledger>) {
    let claim = of("r-late", claim("r-late"));
    let lease = stored(&*ledger, claim).await;
    recover(&*ledger, seen("r-late", &[("in", 2, 8, 0..0)])).await;
    assert!(fenced(ledger.settle(&lease, dead(1), second(51)).await));
    ledger.settle(&lease, End::Done, second(51)).await.expect("a repetition");
}

async fn recovering_twice_is_recovering_once(ledger: Arc<dyn Ledger>) {
    stored(&*ledger, of("r-twice", claim("r-twice"))).await;
    for _ in 0..2 {
        recover(&*ledger, seen("r-twice", &[("in", 2, 8, 0..0)])).await;
    }
    assert_eq!(super::kinds(&*ledger, "r-twice").await, ["started", "stored", "done"]);
}

async fn what_is_not_over_holds_up_its_key(ledger: Arc<dyn Ledger>) {
    let parked = End::Parked { topic: "parking".into() };
    let discarded = End::Discarded { by: "ada".into(), reason: "old".into() };
    let ends = [
        None,
        Some(End::Done),
        Some(waiting(1)),
        Some(dead(1)),
        Some(parked),
        Some(discarded),
        Some(End::Released { fault: None }),
    ];
    for (offset, end) in (20..).zip(ends) {
        let place = at("in", 2, offset);
        let job = claim(&format!("r-hold-{offset}"));
        let claim = Claim { at: place.clone(), origin: place, order: Some(offset as u64 % 2), ..job };
        let lease = fresh(&*ledger, of("r-hold", claim)).await;
        if let Some(end) = end {
            ledger.settle(&lease, end, second(1)).await.expect("held");
        }
    }
    let unordered = of("r-hold", claim("r-hold-none"));
    let elsewhere = Claim { origin: at("in", 1, 3), order: Some(1), ..of("r-hold", claim("r-hold-1")) };
    for claim in [unordered, elsewhere] {
        fresh(&*ledger, claim).await;
    }

    let recovery = seen("r-hold", &[("in", 2, 0, 0..0)]);
    let all = recover(&*ledger, recovery.clone()).await;
    let told: Vec<_> = all.iter().map(|job| (job.origin, job.order, job.state)).collect();
    let dead = (23, 1, State::Dead);
    assert_eq!(
        told,
        [
            (20, 0, State::Running),
            (22, 0, State::Waiting),
            dead,
            (24, 0, State::Parked),
            (26, 0, State::Released)
        ]
    );
    assert!(all.iter().all(|job| job.partition == TopicPartition::new("in", 2)));
    let live = recover(&*ledger, Recovery { holding: Holding::Live, ..recovery.clone() }).await;
    assert_eq!(live.len(), 4);
    assert!(live.iter().all(|job| job.state != State::Dead));
    assert!(recover(&*ledger, Recovery { holding: Holding::Nothing, ..recovery }).await.is_empty());
}

/// Of two records with one job id, the one that has the job holds up its key.
async fn origin_and_order_are_those_of_the_record_that_has_the_job(ledger: Arc<dyn Ledger>) {
    let first = Claim { order: Some(5), ..of("r-origin", claim("r-origin")) };
    let lease = fresh(&*ledger, first.clone()).await;
    ledger.settle(&lease, End::Released { fault: None }, second(1)).await.expect("held");
    let twin = Claim { at: at("in", 2, 9), origin: at("in", 2, 9), order: Some(6), ..first.clone() };
    let lease = fresh(&*ledger, twin.clone()).await;
    ledger.settle(&lease, waiting(1), second(2)).await.expect("held");
    let told = recover(&*ledger, seen("r-origin", &[])).await;
    let expected =
        |state| vec![Outstanding { partition: TopicPartition::new("in", 2), order: 6, origin: 9, state }];
    assert_eq!(told, expected(State::Waiting));
    assert_eq!(begin(&*ledger, first).await, Begin::Repeated, "its own place in the line is not waited for");
    assert_eq!(begin(&*ledger, twin).await, Begin::Finished(State::Waiting));
}

async fn every_hash_of_a_key_comes_back(ledger: Arc<dyn Ledger>) {
    let hashes = [0, 1, i64::MAX as u64, 1 << 63, u64::MAX];
    for (offset, hash) in (0..).zip(hashes) {
        let job = claim(&format!("r-hash-{offset}"));
        let claim = Claim { origin: at("in", 2, offset), order: Some(hash), ..job };
        fresh(&*ledger, of("r-hash", claim)).await;
    }
    let all = recover(&*ledger, seen("r-hash", &[("in", 2, 0, 0..0)])).await;
    assert_eq!(all.iter().map(|job| job.order).collect::<Vec<_>>(), hashes);
}
