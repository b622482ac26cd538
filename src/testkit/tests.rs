use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::config::Ordering;
use crate::flow::Class;
use crate::service::{Builder, Ladder};
use crate::stage::own::{BatchStage, Fault, Output, Outputs, Record};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn builder() -> Builder {
    let builder = Service::builder("p", "s").bootstrap("none:1").input("in").output("out");
    builder.ladder(Ladder::rungs([secs(1), secs(60)]))
}

async fn kit(builder: Builder) -> TestKit {
    TestKit::new(builder.build().unwrap_or_else(|e| panic!("{e}"))).await.unwrap()
}

/// Does what the record's payload says.
async fn obey(record: Record) -> Result<Outputs, Fault> {
    match record.text()? {
        "never" => Err(Fault::transient("not yet")),
        "later" if record.attempt() == 1 => Err(std::io::Error::other("not yet").into()),
        "bad" => Err(Fault::permanent("no such article 7")),
        "panic" => panic!("a panic that the test wants"),
        "two" => Ok([Output::new("one"), Output::new("other").key("k2").header("h", "v")].into()),
        "none" => Ok(Outputs::none()),
        _ => Ok(Output::copy(&record).into()),
    }
}

fn texts(written: &[Written]) -> Vec<String> {
    written.iter().map(Written::text).collect()
}

#[tokio::test]
async fn a_copy_has_key_value_and_headers_and_the_ids_of_its_job() {
    let mut kit = kit(builder().stage(obey)).await;
    kit.send(TestRecord::new([0x66, 0x6f]).key("k").header("h", [255]).header("job-id", "j")).await;
    let out = &kit.outputs()[0];
    assert_eq!((out.key(), out.payload()), (Some(&b"k"[..]), Some(&b"fo"[..])));
    assert_eq!(out.record().headers.iter().next(), Some(("h", Some(&[255][..]))));
    assert_eq!(out.header("job-id"), Some("j"));
    assert!(out.header("traceparent").is_some());
}

#[tokio::test]
async fn several_outputs_have_job_ids_of_their_own_and_none_is_fine_too() {
    let mut kit = kit(builder().stage(obey)).await;
    kit.send(TestRecord::new("two").key("k").header("job-id", "j")).await;
    kit.send("none").await;
    let seen: Vec<_> = kit.outputs().iter().map(|o| (o.text(), o.key().map(<[u8]>::to_vec))).collect();
    assert_eq!(seen, [("one".into(), Some(b"k".to_vec())), ("other".into(), Some(b"k2".to_vec()))]);
    assert_eq!(kit.outputs()[1].header("job-id"), Some("j/1"));
    assert_eq!((kit.stats().done, kit.stats().sent), (2, 2));
}

#[tokio::test]
async fn any_error_waits_on_the_first_rung_and_runs_at_its_due_time_and_not_before() {
    let mut kit = kit(builder().stage(obey)).await;
    kit.send("later").await;
    let waiting = kit.waiting();
    assert_eq!((waiting.len(), waiting[0].failures), (1, 1));
    assert_eq!((waiting[0].rung.as_str(), waiting[0].due), ("p.s.retry.1s", kit.now() + secs(1)));
    assert_eq!(waiting[0].code, Some(crate::flow::Code::StageFailed));
    kit.advance(Duration::from_millis(999)).await;
    assert_eq!(texts(&kit.outputs()), [""; 0]);
    kit.advance(Duration::from_millis(1)).await;
    assert_eq!(texts(&kit.outputs()), ["later"]);
    assert!(kit.waiting().is_empty());
}

#[tokio::test]
async fn a_record_that_never_heals_climbs_all_rungs_and_dies_with_its_bytes_and_reason() {
    let mut kit = kit(builder().stage(obey)).await;
    kit.send(TestRecord::new("never").key("k").header("h", "v")).await;
    let begun = kit.now();
    kit.advance(secs(3600)).await;
    let due: Vec<_> = kit.retries().iter().map(|retry| (retry.rung.clone(), retry.due)).collect();
    assert_eq!(due, [("p.s.retry.1s".into(), begun + secs(1)), ("p.s.retry.1m".into(), begun + secs(61))]);
    let [dead] = &kit.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!((dead.record.key(), dead.record.text().as_str()), (Some(&b"k"[..]), "never"));
    assert_eq!(dead.original.text("h"), Some("v"));
    assert_eq!((dead.letter.code.as_str(), dead.letter.attempts), ("stage.failed", 3));
    assert_eq!((dead.letter.first_failure, dead.letter.last_failure), (begun, begun + secs(61)));
}

#[tokio::test]
async fn permanent_faults_and_panics_are_dead_letters_at_once() {
    let mut kit = kit(builder().stage(obey).revision("r7")).await;
    kit.send("bad").await;
    kit.send("panic").await;
    kit.send([255]).await;
    let dead = kit.dead_letters();
    let codes: Vec<&str> = dead.iter().map(|dead| dead.letter.code.as_str()).collect();
    assert_eq!(codes, ["stage.rejected", "stage.panicked", "record.undecodable"]);
    assert_eq!(dead[0].record.header("dlq.error.message"), Some("no such article 7"));
    assert_eq!(dead[0].letter.revision, "r7");
}

#[tokio::test]
async fn rules_give_faults_another_class() {
    let mut kit = kit(builder().stage(obey).classify_message("article", Class::Transient)).await;
    kit.send("bad").await;
    assert_eq!((kit.waiting().len(), kit.dead_letters().len()), (1, 0));
}

#[tokio::test]
async fn a_systemic_fault_pauses_the_stage_and_costs_no_record_anything() {
    static DOWN: AtomicBool = AtomicBool::new(true);
    let stage = async |record: Record| match DOWN.load(SeqCst) {
        true => Err(Fault::systemic("credentials refused")),
        false => Ok(Output::copy(&record)),
    };
    let mut kit = kit(builder().stage(stage)).await;
    for text in ["a", "b", "c"] {
        kit.push(text);
    }
    kit.run().await;
    kit.advance(secs(300)).await;
    assert_eq!(kit.paused().map(|fault| fault.message.as_str()), Some("credentials refused"));
    assert_eq!((kit.retries().len(), kit.dead_letters().len()), (0, 0));
    DOWN.store(false, SeqCst);
    kit.advance(secs(60)).await;
    assert!(kit.paused().is_none());
    assert_eq!(kit.outputs().len(), 3);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up_and_tried_again() {
    let hang = async |_: Record| std::future::pending::<Result<Outputs, Fault>>().await;
    let mut kit = kit(builder().stage(hang).timeout(Duration::from_millis(1))).await;
    kit.send("x").await;
    assert_eq!(kit.waiting()[0].code, Some(crate::flow::Code::StageTimeout));
}

#[tokio::test]
async fn what_was_written_is_not_written_again_after_a_restart_and_what_waits_still_comes() {
    let mut kit = kit(builder().stage(obey)).await;
    kit.send("a").await;
    kit.send("later").await;
    kit.restart().await;
    assert_eq!(texts(&kit.outputs()), ["a"]);
    kit.advance(secs(1)).await;
    assert_eq!(texts(&kit.outputs()), ["a", "later"]);
}

#[tokio::test]
async fn with_a_ledger_a_job_that_was_sent_twice_runs_once_and_without_one_twice() {
    let folder = tempfile::tempdir().unwrap();
    for (ledger, expected) in [(true, 1), (false, 2)] {
        let builder = builder().stage(obey);
        let path = folder.path().join("ledger.db");
        let mut kit = kit(if ledger { builder.sqlite_ledger(path) } else { builder }).await;
        for _ in 0..2 {
            kit.send(TestRecord::new("a").header("job-id", "j")).await;
        }
        assert_eq!(kit.outputs().len(), expected);
    }
}

#[tokio::test]
async fn where_a_key_keeps_its_order_its_followers_wait_for_the_retry_and_other_keys_pass() {
    let folder = tempfile::tempdir().unwrap();
    let builder =
        builder().stage(obey).ordering(Ordering::Key).sqlite_ledger(folder.path().join("ledger.db"));
    let mut kit = kit(builder).await;
    kit.send(TestRecord::new("later").key("a")).await;
    kit.send(TestRecord::new("follower").key("a")).await;
    kit.send(TestRecord::new("other").key("b")).await;
    assert_eq!(texts(&kit.outputs()), ["other"]);
    kit.restart().await;
    assert_eq!(texts(&kit.outputs()), ["other"], "a restart makes nobody overtake");
    kit.advance(secs(1)).await;
    assert_eq!(texts(&kit.outputs()), ["other", "later", "follower"]);
}

/// Remembers how large its batches were.
struct Batch(Arc<Mutex<Vec<usize>>>);

impl BatchStage for Batch {
    async fn run(&self, records: &[Record]) -> Vec<Result<Outputs, Fault>> {
        self.0.lock().unwrap().push(records.len());
        let mut results = Vec::new();
        for record in records {
            results.push(obey(record.clone()).await);
        }
        results
    }
}

#[tokio::test]
async fn records_of_a_batch_fail_one_by_one() {
    let sizes = Arc::default();
    let mut kit = kit(builder().batch_stage(Batch(Arc::clone(&sizes)), 4, Duration::ZERO)).await;
    for text in ["a", "bad", "later", "b"] {
        kit.push(text);
    }
    kit.run().await;
    assert_eq!(*sizes.lock().unwrap(), [4]);
    assert_eq!(texts(&kit.outputs()), ["a", "b"]);
    assert_eq!((kit.dead_letters().len(), kit.waiting().len()), (1, 1));
}

#[tokio::test]
async fn a_batch_that_panics_costs_only_the_record_that_makes_it_panic() {
    let sizes = Arc::default();
    let mut kit = kit(builder().batch_stage(Batch(Arc::clone(&sizes)), 3, Duration::ZERO)).await;
    for text in ["a", "panic", "b"] {
        kit.push(text);
    }
    kit.run().await;
    assert_eq!(texts(&kit.outputs()), ["a", "b"]);
    assert_eq!(kit.dead_letters()[0].letter.code, "stage.panicked");
    assert_eq!(*sizes.lock().unwrap(), [3, 1, 1, 1]);
}

#[tokio::test]
async fn no_more_records_are_in_flight_than_was_said() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let stage = async |_: Record| {
        MOST.fetch_max(NOW.fetch_add(1, SeqCst) + 1, SeqCst);
        tokio::task::yield_now().await;
        NOW.fetch_sub(1, SeqCst);
        Ok::<_, Fault>(Outputs::none())
    };
    let mut kit = kit(builder().stage(stage).in_flight(100)).await;
    for n in 0..300 {
        kit.push(format!("{n}"));
    }
    kit.run().await;
    assert_eq!((kit.stats().done, MOST.load(SeqCst)), (300, 100));
}

#[tokio::test]
async fn an_output_of_a_sink_pauses_it_with_the_reason() {
    let sink = Service::builder("p", "s").bootstrap("none:1").input("in").stage(obey);
    let mut kit = kit(sink).await;
    kit.send("none").await;
    assert!(kit.paused().is_none());
    kit.send("a").await;
    assert!(kit.paused().unwrap().message.contains("no output topic"), "{:?}", kit.paused());
}

#[tokio::test]
async fn an_output_may_go_to_another_topic() {
    let stage = async |record: Record| Ok::<_, Fault>(Output::copy(&record).to("elsewhere"));
    let mut kit = kit(builder().stage(stage)).await;
    kit.send("a").await;
    assert_eq!((kit.outputs().len(), texts(&kit.written("elsewhere"))), (0, vec!["a".to_owned()]));
}
