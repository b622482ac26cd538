//! The offset map in the commit: what ended beyond the committed offset is not run again, whoever reads on.

use std::time::Duration;

use jiff::Timestamp;
use lazaret::flow::offsets::Committed;
use lazaret::ledger::sqlite::SqliteLedger;
use lazaret::ledger::{Begin, Claim, Ledger};
use lazaret::message::{Coordinates, Correlation, JobId, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::passages;
use crate::rig::{Rig, eventually, job, record};

const ONE_PARTITION: &str = "
  '{p}':
    input: { topic: '{p}.in' }
    output: { topic: '{p}.out' }
    partitions: 1
    retry: { rungs: [1s] }
    stages:
      - { name: embed, kind: { embed: { provider: local, model: lazaret-embed } }, timeout: 10s }
";
const JOBS: usize = 40;

/// Keeps a job from being run: somebody else has it.
async fn taken(rig: &Rig, id: &str) -> SqliteLedger {
    let hour = Duration::from_secs(3600);
    let ledger =
        SqliteLedger::open(&rig.config.ledger.path, "somebody", hour, Timestamp::now()).expect("a ledger");
    let at = Coordinates { topic: "elsewhere".into(), partition: 0, offset: 0, timestamp: None };
    let claim = Claim {
        pipeline: rig.name.clone(),
        stage: "embed".into(),
        correlation: Correlation {
            job: JobId(id.into()),
            tenant: None,
            resource: None,
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        },
        attempt: 0,
        redrives: 0,
        edited: false,
        at: at.clone(),
        origin: at,
        order: None,
        family: TopicPartition::new("elsewhere", 0),
        term: 0,
        lease: hour,
        now: Timestamp::now(),
    };
    assert!(matches!(ledger.begin(claim).await.expect("a lease"), Begin::Fresh(_)));
    ledger
}

/// What the stage's group has committed for its input, and with which metadata.
fn committed(rig: &Rig) -> (i64, String) {
    let group = format!("lazaret.{}.embed", rig.name);
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &rig.config.kafka.bootstrap)
        .set("group.id", group)
        .create()
        .expect("a client");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&rig.topic("in"), 0);
    let found = client.committed_offsets(asked, Duration::from_secs(10)).expect("an answer");
    let found = found.elements();
    let offset =
        found.first().map_or(Offset::Invalid, rdkafka::topic_partition_list::TopicPartitionListElem::offset);
    match offset {
        Offset::Offset(offset) => (offset, found[0].metadata().to_owned()),
        _ => (0, String::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_beyond_the_committed_offset_is_not_run_again_even_if_the_ledger_is_gone() {
    let Some(rig) = Rig::new("map", ONE_PARTITION, "").await else { return };
    let somebody = taken(&rig, "job-0").await;
    let input = |n: usize| record(&rig.topic("in"), &[("job-id", &format!("job-{n}"))], &passages(n));
    rig.send((0..JOBS).map(input).collect()).await;
    let worker = rig.worker(&[]).await;
    eventually("all others have ended and are committed in the map", async || {
        let (offset, map) = committed(&rig);
        let committed = Committed::parse(offset, &map).expect("our own map can be read");
        (offset == 0 && (1..JOBS as i64).all(|offset| committed.has_ended(offset))).then_some(())
    })
    .await;
    worker.kill();
    drop(somebody);
    for entry in std::fs::read_dir(rig.folder.path()).expect("the folder") {
        let path = entry.expect("a file").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ledger.db")) {
            std::fs::remove_file(path).expect("the ledger is removed");
        }
    }

    let mut worker = rig.worker(&[]).await;
    eventually("the first one is done", async || (rig.jobs("embed", "done").await == 1).then_some(())).await;
    eventually("all is committed", async || (committed(&rig).0 > JOBS as i64 - 1).then_some(())).await;
    assert!(worker.terminate().await.success());
    let mut out: Vec<String> = rig.records("out").await.iter().map(job).collect();
    out.sort();
    out.dedup_by(|one, other| one == other);
    assert_eq!((out.len(), rig.records("out").await.len()), (JOBS, JOBS), "each once");
    let known = rig.ledger().counts().await.expect("the new ledger");
    assert_eq!(
        known.iter().map(|count| count.jobs).sum::<u64>(),
        1,
        "no other was even looked at: {known:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_map_is_ignored_with_a_warning_and_nothing_is_lost() {
    let Some(rig) = Rig::new("damaged", ONE_PARTITION, "").await else { return };
    let input = |n: usize| record(&rig.topic("in"), &[("job-id", &format!("job-{n}"))], &passages(n));
    rig.send((0..3).map(input).collect()).await;
    let group = format!("lazaret.{}.embed", rig.name);
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &rig.config.kafka.bootstrap)
        .set("group.id", group)
        .create()
        .expect("a client");
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(&rig.topic("in"), 0);
    element.set_offset(Offset::Offset(1)).expect("an offset");
    element.set_metadata("1AAAAAAAAAAAA");
    client.commit(&list, rdkafka::consumer::CommitMode::Sync).expect("committed");
    drop(client);

    let mut worker = rig.worker(&[]).await;
    eventually("what was not committed is done", async || {
        (rig.jobs("embed", "done").await == 2).then_some(())
    })
    .await;
    assert!(worker.log().contains("the offset map in the commit cannot be read"), "{}", worker.log());
    assert!(worker.metrics().await.contains("lazaret_offset_map_damaged_total{"), "the counter is there");
    assert!(worker.terminate().await.success());
}
