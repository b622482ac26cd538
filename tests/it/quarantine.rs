//! The index of dead letters beside a real Kafka: filled, asked, built anew; and what was done with letters.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lazaret::config::Config;
use lazaret::flow::{Code, Topology};
use lazaret::kafka::Producer;
use lazaret::message::{Headers, OutRecord};
use lazaret::ops::dlq::DlqError;
use lazaret::ops::dlq::account::{Told, account};
use lazaret::ops::dlq::original::{Content, Standing};
use lazaret::ops::dlq::redrive::{Aside, Order, RedriveError, What, send_back};
use lazaret::ops::quarantine::{catch_up, follow, open};
use lazaret::ops::topics::apply;
use lazaret::quarantine::{By, Filter, Quarantine, State, Writer};
use tokio_util::sync::CancellationToken;

use crate::dlq::dead;
use crate::rig::eventually;
use crate::support::{bootstrap, config, unique};

const PATIENCE: Duration = Duration::from_secs(60);

/// A pipeline with dead letters, an index of its own, and a topic of somebody else that is indexed as well.
struct Scene {
    config: Config,
    name: String,
    producer: Producer,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(test: &str) -> Option<Self> {
        let (kafka, name, folder) = (bootstrap()?, unique(test), tempfile::tempdir().expect("a folder"));
        let yaml = format!(
            "version: 1
kafka: {{ bootstrap: '{{kafka}}' }}
ledger: {{ path: '{0}/ledger.db' }}
quarantine: {{ path: '{0}/quarantine.db', topics: ['{name}-in'] }}
pipelines:
  {name}:
    input: {{ topic: {name}-in }}
    output: {{ topic: {name}-out }}
    partitions: 2
    retry: {{ rungs: [1s] }}
    stages: [ {{ name: validate, kind: validate }}, {{ name: parse, kind: parse }} ]
",
            folder.path().display()
        );
        let config = config(&kafka, &yaml);
        apply(&config, false).await.expect("topics");
        let producer = Producer::new(&config.kafka, &Topology::derive(&config), "test").expect("a producer");
        Some(Self { config, name, producer, _folder: folder })
    }

    /// Writes a dead letter and says its id.
    async fn dies(&self, job: &str, code: Code) -> String {
        let (letter, record) = dead(&self.name, job, code);
        self.producer.send(record).await.expect("written");
        letter.id
    }

    async fn send_back(&self, id: &str, what: What) -> Result<(), RedriveError> {
        let order = Order { what, by: "ann".into(), reason: Some("the parser is mended".into()) };
        send_back(&self.config, &[id.to_owned()], &order, Aside::All).await.map(|_| ())
    }
}

async fn states(index: &Arc<dyn Quarantine>) -> Vec<(String, State)> {
    let page = index.list(&Filter::default(), None, 100).await.expect("listed");
    let mut states: Vec<_> = page.letters.into_iter().map(|known| (known.entry.job, known.state)).collect();
    states.sort();
    states
}

#[tokio::test]
async fn the_index_has_every_dead_letter_once_and_knows_what_was_done_with_it() {
    let Some(scene) = Scene::new("index").await else { return };
    let one = scene.dies("job-1", Code::ParseCorrupt).await;
    scene.dies("job-1", Code::ParseCorrupt).await; // as after a crash
    let two = scene.dies("job-2", Code::ParseCorrupt).await;
    scene.dies("job-3", Code::LlmTimeout).await;
    let foreign = OutRecord {
        topic: format!("{}-in", scene.name).into(),
        partition: Some(1),
        key: None,
        value: Some(b"anything".to_vec().into()),
        headers: Headers::new(),
        timestamp: None,
    };
    scene.producer.send(foreign).await.expect("written");

    let index = open(&scene.config).await.expect("an index");
    let caught = catch_up(&scene.config, &index, PATIENCE).await.expect("caught up");
    assert_eq!((caught.records, caught.complete), (5, true));
    assert_eq!(index.count(&Filter::default()).await.expect("counted"), 4, "a copy does not count");
    let parse = Filter { code: Some("parse".into()), ..Filter::default() };
    let groups = index.groups(&parse, 10).await.expect("groups");
    assert_eq!((groups.len(), groups[0].count, groups[0].tenants), (1, 2, 1));
    let stages = index.shares(&Filter::default(), By::Tenant, 10).await.expect("shares");
    assert_eq!(
        stages.iter().map(|share| (share.value.as_deref(), share.count)).collect::<Vec<_>>(),
        [(Some("acme"), 3), (None, 1)]
    );
    let unknown = index.list(&Filter { code: Some("unknown".into()), ..Filter::default() }, None, 10).await;
    assert_eq!(unknown.expect("listed").letters[0].entry.writer, Writer::Unknown);

    scene.send_back(&one, What::Redrive).await.expect("sent back");
    scene.send_back(&two, What::Discard).await.expect("given up");
    let caught = catch_up(&scene.config, &index, PATIENCE).await.expect("caught up");
    assert_eq!(
        caught.records, 1,
        "whoever sent the second one has read the act of the first, and it is not read again"
    );
    let after = states(&index).await;
    assert_eq!(
        after[1..],
        [
            ("job-1".to_owned(), State::Redriving),
            ("job-2".to_owned(), State::Discarded),
            ("job-3".to_owned(), State::Open)
        ]
    );
    let acts = index.acts(&two).await.expect("acts");
    assert_eq!((acts[0].by.as_str(), acts[0].reason.as_deref()), ("ann", Some("the parser is mended")));

    index.clear().await.expect("forgotten");
    assert_eq!(index.count(&Filter::default()).await.expect("counted"), 0);
    catch_up(&scene.config, &index, PATIENCE).await.expect("built anew");
    assert_eq!(states(&index).await, after, "built anew it is the same");
}

#[tokio::test]
async fn an_index_that_follows_has_a_dead_letter_soon_after_it_was_written() {
    let Some(scene) = Scene::new("follow").await else { return };
    let index = open(&scene.config).await.expect("an index");
    let stop = CancellationToken::new();
    let following = {
        let (config, index, stop) = (scene.config.clone(), index.clone(), stop.clone());
        tokio::spawn(async move { follow(&config, &index, stop, &CancellationToken::new()).await })
    };
    for job in ["job-1", "job-2"] {
        scene.dies(job, Code::ParseCorrupt).await;
        let filter = Filter { job: Some(job.to_owned()), ..Filter::default() };
        eventually("the index has the letter", async || {
            (index.count(&filter).await.expect("counted") == 1).then_some(())
        })
        .await;
    }
    stop.cancel();
    following.await.expect("no panic").expect("it ends when it is told to");
    scene.dies("job-3", Code::ParseCorrupt).await;
    let caught = catch_up(&scene.config, &index, PATIENCE).await.expect("caught up");
    assert_eq!(caught.records, 1, "it goes on where it was");
}

#[tokio::test]
async fn nothing_is_done_with_dead_letters_that_cannot_be_written_down() {
    let Some(mut scene) = Scene::new("noted").await else { return };
    let id = scene.dies("job-1", Code::ParseCorrupt).await;
    scene.config.quarantine.operations = format!("{}.nowhere", scene.name);
    let refused = scene.send_back(&id, What::Redrive).await;
    let Err(RedriveError::Refused(why)) = refused else { panic!("{refused:?}") };
    assert!(why[0].message.contains("nowhere"), "{}", why[0]);
    let redrive = format!("{}.parse.redrive", scene.name);
    assert!(crate::support::records(&scene.config, &[&redrive]).await.is_empty());
}

#[tokio::test]
async fn what_others_wrote_is_found_by_the_beginning_of_its_id_and_told_like_ours() {
    let Some(scene) = Scene::new("account").await else { return };
    let id = scene.dies("job-1", Code::ParseCorrupt).await;
    scene.dies("job-1", Code::ParseCorrupt).await; // as after a crash
    let header = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
    let headers: Headers = [
        header("kafka_dlt-exception-fqcn", b"org.example.Refused"),
        header("kafka_dlt-exception-message", b"order 17 is refused"),
        header("kafka_dlt-original-topic", b"orders"),
        header("kafka_dlt-original-partition", &3i32.to_be_bytes()),
        header("kafka_dlt-original-offset", &17i64.to_be_bytes()),
    ]
    .into_iter()
    .collect();
    let foreign = OutRecord {
        topic: format!("{}-in", scene.name).into(),
        partition: Some(1),
        key: None,
        value: Some(b"order".to_vec().into()),
        headers,
        timestamp: None,
    };
    scene.producer.send(foreign).await.expect("written");
    let index = open(&scene.config).await.expect("an index");
    catch_up(&scene.config, &index, PATIENCE).await.expect("caught up");
    let told = async |id: &str| account(&scene.config, &index, id, Told::Contents, Timestamp::now()).await;

    let ours = told(&id[..10]).await.expect("found");
    let Some(Standing::There(original)) = &ours.standing else { panic!("{ours:?}") };
    assert_eq!(original.payload.content, Some(Content::Text { text: "\0\u{1}payload".into() }));
    assert!(ours.life.unread.is_some() && ours.changes.revision_differs == Some(true), "{ours:?}");

    let all = index.list(&Filter { text: Some("refused".into()), ..Filter::default() }, None, 10).await;
    let [spring] = &all.expect("listed").letters[..] else { panic!("one is of Spring") };
    let theirs = told(&spring.entry.id).await.expect("found");
    let entry = &theirs.letter.known.entry;
    assert_eq!((entry.writer, entry.code.as_str()), (Writer::Spring, "org.example.Refused"));
    let Some(Standing::There(original)) = &theirs.standing else { panic!("{theirs:?}") };
    assert_eq!(original.payload.content, Some(Content::Text { text: "order".into() }));
    assert!(original.headers.iter().any(|header| header.name == "kafka_dlt-original-topic"));
    assert_eq!(theirs.changes.revision_now, None, "it is of no stage of ours");

    for (id, expected) in [("ffffffffffffffffffff", "there is no dead letter"), ("", "several dead letters")]
    {
        let Err(DlqError::NotFound(advice)) = told(id).await else { panic!("{id}") };
        assert!(advice.message.contains(expected), "{advice}");
    }
}
