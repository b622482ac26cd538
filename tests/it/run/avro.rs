//! Avro through a real schema registry: the whole way, a registry that is away, a schema that nobody knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lazaret::config::Format;
use lazaret::schema::{Codec, Plan, Registry, Shape};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::peers::pipelines;
use crate::registry;
use crate::rig::{Rig, eventually, record};
use crate::support;

/// A way to the registry that can be cut.
struct Way {
    url: String,
    open: Arc<AtomicBool>,
}

impl Way {
    async fn to(url: &str) -> Way {
        let url: url::Url = url.parse().expect("a URL");
        let target =
            format!("{}:{}", url.host_str().expect("a host"), url.port_or_known_default().expect("a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut through = url.clone();
        through.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port");
        through.set_ip_host("127.0.0.1".parse().expect("an address")).expect("a host");
        let open = Arc::new(AtomicBool::new(true));
        let is_open = open.clone();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                if is_open.load(Ordering::Relaxed)
                    && let Ok(mut to) = TcpStream::connect(&target).await
                {
                    tokio::spawn(async move { copy_bidirectional(&mut from, &mut to).await });
                }
            }
        });
        Way { url: through.to_string(), open }
    }
}

/// Writes questions by the schema that the registry has for their topic.
pub fn questions(rig: &Rig) -> Codec {
    let settings = rig.config.registry.as_ref().expect("a registry");
    let registry = Arc::new(Registry::new(settings, None).expect("a client"));
    let plan =
        Plan { topic: rig.topic("questions"), format: Format::Avro, shape: Shape::Question, ours: false };
    Codec::new(&plan, Some(&registry)).expect("a codec")
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_goes_all_the_way_and_waits_for_a_registry_that_is_away() {
    let Some(url) = registry::url() else { return };
    let way = Way::to(&url).await;
    let extra = format!("registry: {{ url: '{}', timeout: 2s }}", way.url.trim_end_matches('/'));
    let Some(rig) = Rig::new("avro", &pipelines("avro"), &extra).await else { return };
    let pipeline = format!("{}-rag-answer", rig.name);
    rig.lazaret(&["schemas", "register"]);
    let question = "What is a rung?";
    rig.lazaret(&["submit", "questions", "--tenant", "acme", "--pipeline", &pipeline, "--ask", question]);

    way.open.store(false, Ordering::Relaxed);
    let mut worker = rig.start(&["--pipeline", &pipeline]).await;
    eventually("the stage waits for the registry", async || {
        worker.readiness().await.to_string().contains("paused: registry.unavailable").then_some(())
    })
    .await;
    way.open.store(true, Ordering::Relaxed);
    eventually("the question is answered", async || (rig.jobs("ground", "done").await == 1).then_some(()))
        .await;

    let settings = rig.config.registry.as_ref().expect("a registry");
    let registry = Arc::new(Registry::new(settings, None).expect("a client"));
    let plan = Plan { topic: rig.topic("answers"), format: Format::Avro, shape: Shape::Answer, ours: true };
    let codec = Codec::new(&plan, Some(&registry)).expect("a codec");
    let answers = rig.records("answers").await;
    let answer = codec.decode(answers.first().expect("an answer")).await.expect("Avro");
    assert_eq!(answer["status"], json!("unanswerable"), "nothing has been ingested");

    let mut unknown = record(&rig.topic("questions"), &[("job-id", "unknown")], &json!(null));
    unknown.value = Some(vec![0, 0x7f, 0xff, 0xff, 0xf0, 2, 4, 6].into());
    rig.send(vec![unknown.clone()]).await;
    eventually("it is a dead letter", async || (rig.jobs("validate", "dead").await == 1).then_some(())).await;
    let letters = support::records(&rig.config, &[&format!("{pipeline}.validate.dlq")]).await;
    let letter = letters.first().expect("a dead letter");
    assert_eq!(letter.headers.text("dlq.error.code"), Some("record.schema_unknown"));
    assert_eq!(letter.value, unknown.value);
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payload_of_a_dead_letter_is_shown_by_the_schema_that_it_was_written_with() {
    let Some(url) = registry::url() else { return };
    let extra = format!("registry: {{ url: '{}', timeout: 5s }}", url.trim_end_matches('/'));
    let Some(rig) = Rig::new("shown", &pipelines("avro"), &extra).await else { return };
    let pipeline = format!("{}-rag-answer", rig.name);
    rig.lazaret(&["schemas", "register"]);
    let codec = questions(&rig);
    let empty = json!({ "id": "q", "tenant": "acme", "text": "" });
    let send = |job: &str, value: Vec<u8>| lazaret::message::OutRecord {
        value: Some(value.into()),
        ..record(&rig.topic("questions"), &[("job-id", job)], &json!(null))
    };
    let unknown = vec![0, 0x7f, 0xff, 0xff, 0xf0, 2, 4, 6];
    rig.send(vec![send("empty", codec.encode(&empty).await.expect("Avro")), send("unknown", unknown)]).await;
    let mut worker = rig.worker(&["--pipeline", &pipeline]).await;
    eventually("both are dead", async || (rig.jobs("validate", "dead").await == 2).then_some(())).await;
    assert!(worker.terminate().await.success());
    let payload = async |job: &str| {
        let listed = rig.ask(&["dlq", "ls", "--job", job, "-o", "json"]).await;
        let id = listed["letters"][0]["id"].as_str().expect("an id").to_owned();
        rig.ask(&["dlq", "show", &id, "--payload", "-o", "json"]).await["payload"].clone()
    };
    let shown = payload("empty").await;
    assert_eq!((&shown["format"], &shown["value"]), (&json!("avro"), &empty));
    let shown = payload("unknown").await;
    assert_eq!(shown["format"], "binary");
    assert!(
        shown["problem"].as_str().is_some_and(|why| why.contains("has no schema with the id")),
        "{shown}"
    );
}
