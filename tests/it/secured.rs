//! A broker that asks everybody who they are and what they may: every way to log in, and the rights that
//! `lazaret topics acls` prints, which are enough and no more.

mod tokens;

use std::process::Command;

use lazaret::message::OutRecord;
use serde_json::json;

use crate::acts::count;
use crate::real::real;
use crate::rig::{Rig, eventually, record, succeed};
use crate::run::EMBED;

/// The broker's listeners, and the folder with certificates.
struct Secured {
    sasl: String,
    certified: String,
    tokens: String,
    admin: String,
    folder: String,
}

impl Secured {
    fn find() -> Option<Self> {
        let sasl = real("a Kafka that asks who one is", "LAZARET_TEST_SECURED", "host:port")?;
        let told = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set as well"));
        Some(Self {
            sasl,
            certified: told("LAZARET_TEST_SECURED_CERTIFIED"),
            tokens: told("LAZARET_TEST_SECURED_TOKENS"),
            admin: told("LAZARET_TEST_SECURED_ADMIN"),
            folder: told("LAZARET_TEST_SECURED_FOLDER"),
        })
    }

    /// What stands in the braces of `kafka` for whoever has all rights.
    fn everything(&self) -> String {
        format!("bootstrap: '{}'", self.admin)
    }

    /// The same for a user with a password, which stands in a file of the rig.
    fn password(&self, rig: &Rig, mechanism: &str, user: &str, password: &str) -> String {
        let file = rig.path(&format!("{user}.password"));
        std::fs::write(&file, password).expect("written");
        format!(
            "bootstrap: '{}', security: {{ protocol: sasl_ssl, mechanism: {mechanism}, username: {user}, \
             password: {{ file: '{}' }}, ca_file: '{}/ca.pem' }}",
            self.sasl,
            file.display(),
            self.folder
        )
    }

    /// The same for one with a certificate.
    fn certificate(&self, user: &str) -> String {
        let folder = &self.folder;
        format!(
            "bootstrap: '{}', security: {{ protocol: ssl, ca_file: '{folder}/ca.pem', \
             certificate_file: '{folder}/{user}.pem', key_file: '{folder}/{user}.key' }}",
            self.certified
        )
    }

    /// Grants what the configuration needs, as people would.
    fn grant(&self, rig: &Rig, to: &[(&str, &str)]) {
        let tools = std::env::var("LAZARET_TEST_KAFKA_TOOLS").expect("Kafka's tools");
        let java = std::env::var("LAZARET_TEST_JAVA").expect("a Java");
        let mut script = format!(
            "set -eu\nkafka-acls.sh() {{ '{java}' -XX:TieredStopAtLevel=1 -cp '{tools}' \
             org.apache.kafka.tools.AclCommand \"$@\" >/dev/null; }}\n"
        );
        for (of, user) in to {
            let principal = format!("User:{user}");
            let args = ["topics", "acls", "--for", of, "--principal", &principal, "--commands"];
            script.push_str(&rig.lazaret(&args));
        }
        succeed(Command::new("bash").args(["-c", &script]).env("BROKERS", &self.admin));
    }
}

fn passage(rig: &Rig, n: usize, text: &str) -> OutRecord {
    let value = json!({
        "document": { "id": format!("doc-{n}"), "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": text }],
    });
    record(&rig.topic("in"), &[("job-id", &format!("job-{n}"))], &value)
}

/// Runs it, and reads what it says on standard error.
async fn fails(rig: &Rig, args: &[&str]) -> String {
    let output = rig.output(args).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?}\n{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_log_in_works_and_what_is_wrong_with_it_is_told_at_once() {
    let Some(secured) = Secured::find() else { return };
    let rig = Rig::on(&secured.everything(), "logins", EMBED, "").await;
    secured.grant(&rig, &[("topics", "topics")]);
    let mut now = secured.everything();
    let become_ = |now: &mut String, next: String| {
        rig.reconfigure(now, &next);
        *now = next;
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        become_(&mut now, secured.password(&rig, mechanism, "topics", "topics-secret"));
        assert!(rig.tell(&["topics", "drift"]).await, "{mechanism}");
        become_(&mut now, secured.password(&rig, mechanism, "topics", "topics-secrets"));
        let told = fails(&rig, &["topics", "drift"]).await;
        assert!(told.to_lowercase().contains("authentication"), "{mechanism}: {told}");
        assert!(!told.contains("topics-secret"), "{told}");
    }
    become_(&mut now, secured.certificate("topics"));
    assert!(rig.tell(&["topics", "drift"]).await);
    // Somebody whom the broker knows, and who may not do this.
    become_(&mut now, secured.certificate("lazaret"));
    let blind = rig.output(&["topics", "drift"]).await;
    assert_eq!(blind.status.code(), Some(5), "topics that it may not see are not there: {blind:?}");
    // A server whose certificate nobody vouches for.
    let strange = secured.certificate("topics").replacen("ca.pem", "topics.pem", 1);
    become_(&mut now, strange);
    let told = fails(&rig, &["topics", "drift"]).await;
    assert!(told.contains("certificate"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_that_are_printed_are_enough_and_no_more() {
    let Some(secured) = Secured::find() else { return };
    let permanent = "timeout: 10s, classify: [{ code: llm.server_error, class: permanent }]";
    let rig =
        Rig::on(&secured.everything(), "rights", &EMBED.replacen("timeout: 10s", permanent, 1), "").await;
    let mut now = secured.everything();
    let become_ = |now: &mut String, user: &str| {
        let next = secured.password(&rig, "SCRAM-SHA-512", user, &format!("{user}-secret"));
        rig.reconfigure(now, &next);
        *now = next;
    };
    become_(&mut now, "stage");
    let told = fails(&rig, &["run"]).await;
    assert!(told.contains("topic"), "{told}");
    rig.reconfigure("rungs: [200ms, 1s]", "rungs: [200ms, 1s, 2s]");
    secured.grant(
        &rig,
        &[("stages", "stage"), ("ops", "ops"), ("topics", "topics"), ("producers", "producers")],
    );

    become_(&mut now, "topics");
    rig.ask(&["topics", "apply", "-o", "json"]).await;

    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    rig.send(
        (0..4).map(|n| passage(&rig, n, if n == 3 { "a FAIL-ME passage" } else { "a passage" })).collect(),
    )
    .await;
    become_(&mut now, "stage");
    let mut worker = rig.worker(&[]).await;
    eventually("three are done", async || (rig.jobs("index", "done").await == 3).then_some(())).await;
    eventually("one is dead", async || (rig.jobs("embed", "dead").await == 1).then_some(())).await;
    // Who runs stages does not see what died.
    fails(&rig, &["dlq", "count", "--state", "all"]).await;

    become_(&mut now, "ops");
    assert_eq!(count(&rig, &["--state", "open"]).await, 1);
    rig.ask(&["lag", "-o", "json"]).await;
    rig.faults(json!({ "marked": null })).await;
    let plan = rig.ask(&["redrive", "plan", "--stage", "embed", "--by", "kim", "-o", "json"]).await;
    let run = plan["id"].as_str().expect("an id");
    let start =
        ["redrive", "start", run, "--override", "changed", "--by", "kim", "--reason", "mended", "--yes"];
    assert!(rig.tell(&start).await);
    assert_eq!(count(&rig, &["--state", "open"]).await, 0);
    assert!(rig.tell(&["verify"]).await);
    // Who operates makes no topics.
    rig.reconfigure("rungs: [200ms, 1s, 2s]", "rungs: [200ms, 1s, 2s, 3s]");
    assert!(!rig.tell(&["topics", "apply"]).await);
    assert!(worker.terminate().await.success());
}
