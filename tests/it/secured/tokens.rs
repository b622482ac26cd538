//! Logging in by a token: of a token endpoint in this process that issues what the broker believes, and out of a file.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::json;

use super::{Secured, fails, passage};
use crate::rig::{Rig, eventually, jwt};
use crate::run::EMBED;
use lazaret::config::{Config, Size};
use lazaret::kafka::tail::{Heard, Tailing, tail};

/// What the issuer knows the client by, and what must not be seen anywhere.
const SECRET: &str = "client-secret-0815";

/// Signs tokens.
#[derive(Clone)]
struct Issuer(PKey<Private>);

impl Issuer {
    /// The one that the broker believes.
    fn of(secured: &Secured) -> Self {
        let key = std::fs::read(Path::new(&secured.folder).join("issuer.key")).expect("the issuer's key");
        Self(PKey::private_key_from_pem(&key).expect("a key"))
    }

    /// Somebody else.
    fn stranger() -> Self {
        Self(PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key"))
    }

    /// A token for this user, good for some seconds.
    fn token(&self, user: &str, seconds: i64) -> String {
        let now = Timestamp::now().as_second();
        let claims = json!({ "iss": "https://issuer.test", "aud": "kafka", "sub": user, "iat": now, "exp": now + seconds });
        jwt(&json!({ "alg": "RS256", "kid": "tests" }), &claims, |text| {
            Signer::new(MessageDigest::sha256(), &self.0)?.sign_oneshot_to_vec(text)
        })
    }
}

/// A token endpoint: for whom it issues tokens, how long they are good, and how often it was asked.
#[derive(Clone)]
struct Endpoint {
    url: String,
    issuer: Arc<Mutex<Issuer>>,
    seconds: Arc<AtomicI64>,
    issued: Arc<AtomicUsize>,
    /// How many are hung up on before the next one is answered.
    down: Arc<AtomicUsize>,
    /// How many that were.
    hung_up: Arc<AtomicUsize>,
}

impl Endpoint {
    async fn new(issuer: Issuer, seconds: i64) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/token", listener.local_addr().expect("an address"));
        let endpoint = Self {
            url,
            issuer: Arc::new(Mutex::new(issuer)),
            seconds: Arc::new(seconds.into()),
            issued: Arc::default(),
            down: Arc::default(),
            hung_up: Arc::default(),
        };
        let answering = endpoint.clone();
        let answer = async move |headers: HeaderMap, body: String| answering.answer(&headers, &body);
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/token", post(answer))).await });
        endpoint
    }

    fn answer(&self, headers: &HeaderMap, body: &str) -> Response {
        if self.down.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.hung_up.fetch_add(1, Ordering::SeqCst);
            let broken = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("gone"))]);
            return Body::from_stream(broken).into_response();
        }
        let login =
            headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok()).unwrap_or_default();
        let login = STANDARD.decode(login.trim_start_matches("Basic ")).unwrap_or_default();
        let login = String::from_utf8_lossy(&login).into_owned();
        match login.split_once(':') {
            Some((user, SECRET)) => {
                assert!(
                    body.contains("grant_type=client_credentials") && body.contains("scope=kafka"),
                    "{body}"
                );
                let issuer = self.issuer.lock().expect("a lock");
                let token = issuer.token(user, self.seconds.load(Ordering::SeqCst));
                self.issued.fetch_add(1, Ordering::SeqCst);
                Json(json!({ "access_token": token, "token_type": "Bearer" })).into_response()
            }
            _ => (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response(),
        }
    }

    fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::SeqCst)
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }
}

/// What stands in the braces of `kafka` for whoever has a token; `source` is what stands in those of `token`.
fn by_token(secured: &Secured, source: &str) -> String {
    format!(
        "bootstrap: '{}', security: {{ protocol: sasl_ssl, mechanism: OAUTHBEARER, ca_file: '{}/ca.pem', \
         token: {{ {source} }} }}",
        secured.tokens, secured.folder
    )
}

fn asked(rig: &Rig, endpoint: &Endpoint, user: &str, secret: &str) -> String {
    let file = rig.path("client.secret");
    std::fs::write(&file, secret).expect("written");
    format!(
        "endpoint: {{ url: '{}', client_id: {user}, client_secret: {{ file: '{}' }}, scope: kafka }}",
        endpoint.url,
        file.display()
    )
}

/// As Kubernetes does it: whoever reads sees the old one or the new one.
fn replace(path: &Path, token: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, token).expect("written");
    std::fs::rename(next, path).expect("renamed");
}

/// Waits until all that was issued for so long before now is out of date.
async fn out_of_date(since: Timestamp, seconds: i64) {
    let passed = async || (Timestamp::now().as_second() > since.as_second() + seconds).then_some(());
    eventually("the first tokens are out of date", passed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_run_with_tokens_that_are_renewed_in_time() {
    let Some(secured) = Secured::find() else { return };
    let rig = Rig::on(&secured.everything(), "tokens", EMBED, "").await;
    secured.grant(&rig, &[("stages", "stage")]);
    const SECONDS: i64 = 6;
    let endpoint = Endpoint::new(Issuer::of(&secured), SECONDS).await;
    rig.reconfigure(&secured.everything(), &by_token(&secured, &asked(&rig, &endpoint, "stage", SECRET)));
    let begun = Timestamp::now();
    let mut worker = rig.worker(&[]).await;
    rig.send(vec![passage(&rig, 0, "a passage")]).await;
    eventually("one is done", async || (rig.jobs("index", "done").await == 1).then_some(())).await;
    let before = endpoint.issued();
    assert!(before > 0);
    // The broker hangs up on who does not log in anew before a token is out of date.
    out_of_date(begun, 2 * SECONDS).await;
    eventually("tokens are renewed", async || (endpoint.issued() > before).then_some(())).await;
    rig.send(vec![passage(&rig, 1, "another passage")]).await;
    eventually("two are done", async || (rig.jobs("index", "done").await == 2).then_some(())).await;
    assert!(worker.terminate().await.success());
    let log = worker.log();
    assert!(!log.contains(SECRET) && !log.contains("eyJ"), "{log}");
    assert!(!rig.lazaret(&["config", "show"]).contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_run_with_the_token_that_stands_in_a_file_now() {
    let Some(secured) = Secured::find() else { return };
    let rig = Rig::on(&secured.everything(), "tokenfile", EMBED, "").await;
    secured.grant(&rig, &[("stages", "stage")]);
    const SECONDS: i64 = 6;
    let (issuer, file): (_, PathBuf) = (Issuer::of(&secured), rig.path("token"));
    replace(&file, &issuer.token("stage", SECONDS));
    rig.reconfigure(&secured.everything(), &by_token(&secured, &format!("file: '{}'", file.display())));
    let begun = Timestamp::now();
    let renewing = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(2));
        loop {
            ticks.tick().await;
            replace(&file, &issuer.token("stage", SECONDS));
        }
    });
    let mut worker = rig.worker(&[]).await;
    rig.send(vec![passage(&rig, 0, "a passage")]).await;
    eventually("one is done", async || (rig.jobs("index", "done").await == 1).then_some(())).await;
    out_of_date(begun, 2 * SECONDS).await;
    rig.send(vec![passage(&rig, 1, "another passage")]).await;
    eventually("two are done", async || (rig.jobs("index", "done").await == 2).then_some(())).await;
    assert!(worker.terminate().await.success());
    renewing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_token_is_told_at_once() {
    let Some(secured) = Secured::find() else { return };
    let rig = Rig::on(&secured.everything(), "tokenwrong", EMBED, "").await;
    secured.grant(&rig, &[("topics", "topics")]);
    let issuer = Issuer::of(&secured);
    let endpoint = Endpoint::new(issuer.clone(), 600).await;
    let mut now = secured.everything();
    let mut become_ = |source: &str| {
        let next = by_token(&secured, source);
        rig.reconfigure(&now, &next);
        now = next;
    };
    become_(&asked(&rig, &endpoint, "topics", SECRET));
    assert!(rig.tell(&["topics", "drift"]).await);

    // The endpoint does not know the client.
    become_(&asked(&rig, &endpoint, "topics", "wrong"));
    let told = fails(&rig, &["topics", "drift"]).await;
    for part in ["there is no token", "invalid_client", "kafka.security.token", "client_secret"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let doctor = rig.output(&["doctor", "-o", "json"]).await;
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("invalid_client"), "{doctor:?}");

    // The broker does not believe who signed.
    *endpoint.issuer.lock().expect("a lock") = Issuer::stranger();
    become_(&asked(&rig, &endpoint, "topics", SECRET));
    let told = fails(&rig, &["topics", "drift"]).await;
    assert!(told.contains("Kafka refuses the credentials"), "{told}");
    assert!(!told.contains("eyJ"), "{told}");

    // In a file: as it should be, out of date, and not there.
    let file = rig.path("token");
    replace(&file, &issuer.token("topics", 600));
    become_(&format!("file: '{}'", file.display()));
    assert!(rig.tell(&["topics", "drift"]).await);
    replace(&file, &issuer.token("topics", -60));
    let told = fails(&rig, &["topics", "drift"]).await;
    assert!(told.contains("there is no token") && told.contains("unexpired"), "{told}");
    std::fs::remove_file(&file).expect("removed");
    let told = fails(&rig, &["topics", "drift"]).await;
    assert!(told.contains("kafka.security.token.file"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_is_starting_is_waited_for() {
    let Some(secured) = Secured::find() else { return };
    let rig = Rig::on(&secured.everything(), "tokenlate", EMBED, "").await;
    secured.grant(&rig, &[("topics", "topics")]);
    let endpoint = Endpoint::new(Issuer::of(&secured), 600).await;
    endpoint.down.store(3, Ordering::SeqCst);
    rig.reconfigure(&secured.everything(), &by_token(&secured, &asked(&rig, &endpoint, "topics", SECRET)));
    assert!(rig.tell(&["topics", "drift"]).await);
    assert_eq!(endpoint.hung_up(), 3);
    // One that never comes is told with its name, when the time is up.
    endpoint.down.store(usize::MAX, Ordering::SeqCst);
    rig.reconfigure("bootstrap:", "timeout: 3s, bootstrap:");
    let told = fails(&rig, &["topics", "drift"]).await;
    assert!(told.contains("there is no token") && told.contains(&endpoint.url), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_goes_on_as_long_as_its_token_is_good_though_no_new_one_comes() {
    let Some(secured) = Secured::find() else { return };
    let rig = Rig::on(&secured.everything(), "tokengone", EMBED, "").await;
    secured.grant(&rig, &[("stages", "stage")]);
    // A new one is asked for when four fifths of its time are over.
    let endpoint = Endpoint::new(Issuer::of(&secured), 20).await;
    rig.reconfigure(&secured.everything(), &by_token(&secured, &asked(&rig, &endpoint, "stage", SECRET)));
    let text = std::fs::read_to_string(rig.path("lazaret.yaml")).expect("a configuration file");
    let config = Config::parse(&text, "lazaret.yaml").expect("a configuration");

    let tailing = Tailing { topics: vec![rig.topic("in")], offsets: [].into() };
    let (began, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begins, hears) = (began.clone(), heard.clone());
    let reading = tokio::spawn(async move {
        let visit = move |what| {
            match what {
                Heard::Bounds(_) => _ = begins.fetch_add(1, Ordering::SeqCst),
                Heard::Record(_) => _ = hears.fetch_add(1, Ordering::SeqCst),
                Heard::Silence => {}
            }
            ControlFlow::Continue(())
        };
        tail(&config.kafka, "tokens", Size::mib(1), tailing, visit).await
    });
    eventually("it reads", async || (began.load(Ordering::SeqCst) > 0).then_some(())).await;
    endpoint.down.store(usize::MAX, Ordering::SeqCst);
    eventually("no new token comes", async || (endpoint.hung_up() > 0).then_some(())).await;
    rig.send(vec![passage(&rig, 0, "a passage")]).await;
    eventually("it is read", async || (heard.load(Ordering::SeqCst) > 0).then_some(())).await;
    // The broker hangs up when the token's time is over, and lets nobody in with it.
    let problem = reading.await.expect("no panic").expect_err("a refused login").to_string();
    assert!(problem.contains("there is no token") && problem.contains(&endpoint.url), "{problem}");
}
