//! Tokens of a real issuer: keys are made here by another library than the one that checks, and served over HTTP.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::config::{Jwks, Right};
use crate::telemetry::http;

const AUDIENCE: &str = "lazaret";

fn coded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the issuer.
struct Key {
    id: &'static str,
    algorithm: &'static str,
    key: PKey<Private>,
}

impl Key {
    fn rsa(id: &'static str, bits: u32) -> Self {
        let key = PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key");
        Self { id, algorithm: "RS256", key }
    }

    fn ec(id: &'static str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
        Self { id, algorithm: "ES256", key }
    }

    fn ed(id: &'static str) -> Self {
        Self { id, algorithm: "EdDSA", key: PKey::generate_ed25519().expect("a key") }
    }

    /// The half that everybody may know.
    fn public(&self) -> Value {
        let mut jwk = match self.algorithm {
            "RS256" => {
                let rsa = self.key.rsa().expect("RSA");
                json!({ "kty": "RSA", "n": coded(rsa.n().to_vec()), "e": coded(rsa.e().to_vec()) })
            }
            "ES256" => {
                let ec = self.key.ec_key().expect("EC");
                let (mut x, mut y) = (
                    openssl::bn::BigNum::new().expect("a number"),
                    openssl::bn::BigNum::new().expect("a number"),
                );
                let mut context = BigNumContext::new().expect("a context");
                ec.public_key()
                    .affine_coordinates(ec.group(), &mut x, &mut y, &mut context)
                    .expect("a point");
                let padded = |n: &openssl::bn::BigNum| coded(n.to_vec_padded(32).expect("32 bytes"));
                json!({ "kty": "EC", "crv": "P-256", "x": padded(&x), "y": padded(&y) })
            }
            _ => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": coded(self.key.raw_public_key().expect("Ed25519")) })
            }
        };
        jwk["kid"] = self.id.into();
        jwk
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self.algorithm {
            "EdDSA" => {
                Signer::new_without_digest(&self.key).and_then(|mut signer| signer.sign_oneshot_to_vec(text))
            }
            _ => Signer::new(MessageDigest::sha256(), &self.key)
                .and_then(|mut signer| signer.sign_oneshot_to_vec(text)),
        }
        .map(|signature| match self.algorithm {
            "ES256" => {
                let parts = EcdsaSig::from_der(&signature).expect("a signature");
                let padded = |n: &openssl::bn::BigNumRef| n.to_vec_padded(32).expect("32 bytes");
                [padded(parts.r()), padded(parts.s())].concat()
            }
            _ => signature,
        })
        .expect("signed")
    }

    fn token(&self, claims: &Value) -> String {
        self.token_with(json!({ "alg": self.algorithm, "kid": self.id }), claims)
    }

    fn token_with(&self, header: Value, claims: &Value) -> String {
        let text = format!("{}.{}", coded(header.to_string()), coded(claims.to_string()));
        let signature = coded(self.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

/// A server of keys: what it says, and how often it was asked.
struct Issuer {
    url: String,
    says: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Issuer {
    async fn new(keys: &[&Key]) -> Self {
        let says = Arc::new(Mutex::new((StatusCode::OK, String::new())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (says.clone(), asked.clone());
        let at = Arc::new(Mutex::new(String::new()));
        let about = at.clone();
        let routes = Router::new()
            .route(
                "/keys",
                get(async move || {
                    count.fetch_add(1, Ordering::SeqCst);
                    let (status, text) = answer.lock().expect("a lock").clone();
                    // Where a redirect would lead.
                    (status, [(header::LOCATION, "/keys")], text)
                }),
            )
            .route(
                "/.well-known/openid-configuration",
                get(async move || {
                    let url = about.lock().expect("a lock").clone();
                    json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }).to_string()
                }),
            );
        let stop = CancellationToken::new();
        let address = http::open("127.0.0.1:0", routes, stop.clone()).await.expect("served");
        let url = format!("http://{address}");
        at.lock().expect("a lock").clone_from(&url);
        let issuer = Self { url, says, asked, _stop: stop.drop_guard() };
        issuer.names(keys);
        issuer
    }

    fn names(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public()).collect();
        self.says(StatusCode::OK, json!({ "keys": keys }).to_string());
    }

    fn says(&self, status: StatusCode, text: String) {
        *self.says.lock().expect("a lock") = (status, text);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn settings(&self) -> config::Oidc {
        let settings = json!({
            "issuer": self.url, "audience": AUDIENCE,
            "grants": [{ "claim": "groups", "has": "ops", "role": "operator" }],
        });
        serde_json::from_value(settings).expect("settings")
    }

    async fn oidc(&self) -> Oidc {
        Oidc::open(&self.settings()).await.expect("opened")
    }

    /// Of a token that is good for five minutes.
    fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({ "iss": self.url, "aud": AUDIENCE, "exp": now + 300, "sub": "ada", "groups": ["ops"] })
    }

    /// The same, but for what is said here; null takes a claim away.
    fn claims_but(&self, other: Value) -> Value {
        let mut claims = self.claims();
        let all = claims.as_object_mut().expect("claims");
        all.extend(other.as_object().expect("claims").clone());
        all.retain(|_, value| !value.is_null());
        claims
    }
}

/// What becomes of a token that is good but for these claims.
async fn refused_for(other: Value) -> Refusal {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[&key]).await;
    let token = key.token(&issuer.claims_but(other));
    issuer.oidc().await.who(&token, Instant::now()).await.expect_err("refused")
}

fn in_seconds(seconds: i64) -> i64 {
    Timestamp::now().as_second() + seconds
}

#[tokio::test]
async fn whoever_the_issuer_vouches_for_is_known_whatever_asymmetric_key_it_signs_with() {
    for key in [Key::rsa("k1", 2048), Key::ec("k1"), Key::ed("k1")] {
        let issuer = Issuer::new(&[&key]).await;
        let who = issuer.oidc().await.who(&key.token(&issuer.claims()), Instant::now()).await;
        let who = who.unwrap_or_else(|refusal| panic!("{}: {refusal}", key.algorithm));
        assert_eq!((who.name.as_str(), who.may(Right::RedriveRun)), ("ada", true));
    }
}

#[tokio::test]
async fn a_token_may_be_for_others_too_and_may_leave_the_name_of_the_only_key_out() {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[&key]).await;
    let claims = issuer.claims_but(json!({ "aud": ["other", AUDIENCE] }));
    let token = key.token_with(json!({ "alg": "ES256" }), &claims);
    assert!(issuer.oidc().await.who(&token, Instant::now()).await.is_ok());
}

#[tokio::test]
async fn a_token_without_the_name_of_a_key_is_refused_where_there_are_several() {
    let (key, other) = (Key::ec("k1"), Key::ec("k2"));
    let issuer = Issuer::new(&[&key, &other]).await;
    let token = key.token_with(json!({ "alg": "ES256" }), &issuer.claims());
    assert_eq!(issuer.oidc().await.who(&token, Instant::now()).await.expect_err("refused"), Refusal::Key);
}

#[tokio::test]
async fn keys_may_stand_in_a_file_which_has_to_be_there() {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jwks.json");
    let settings = config::Oidc { jwks: Some(Jwks::File(path.clone())), ..issuer.settings() };
    let error = Oidc::open(&settings).await.err().expect("no file").to_string();
    assert!(error.contains("jwks.json"), "{error}");
    std::fs::write(&path, json!({ "keys": [key.public()] }).to_string()).expect("written");
    let oidc = Oidc::open(&settings).await.expect("opened");
    assert!(oidc.who(&key.token(&issuer.claims()), Instant::now()).await.is_ok());
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn a_token_that_is_over_is_refused() {
    assert_eq!(refused_for(json!({ "exp": in_seconds(-61) })).await, Refusal::Expired);
}

#[tokio::test]
async fn clocks_may_be_apart_by_the_leeway() {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[&key]).await;
    let claims = issuer.claims_but(json!({ "exp": in_seconds(-30), "nbf": in_seconds(30) }));
    assert!(issuer.oidc().await.who(&key.token(&claims), Instant::now()).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_not_good_yet_is_refused() {
    assert_eq!(refused_for(json!({ "nbf": in_seconds(120) })).await, Refusal::TooEarly);
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    assert_eq!(refused_for(json!({ "iss": "https://evil.example" })).await, Refusal::Issuer);
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    for aud in [json!("other"), json!(["other"])] {
        assert_eq!(refused_for(json!({ "aud": aud })).await, Refusal::Audience);
    }
}

#[tokio::test]
async fn a_token_that_lacks_what_is_needed_is_refused() {
    for claim in ["exp", "iss", "aud", "sub"] {
        assert_eq!(refused_for(json!({ (claim): null })).await, Refusal::Claim, "{claim}");
    }
    assert_eq!(refused_for(json!({ "exp": "soon" })).await, Refusal::Claim);
}

#[tokio::test]
async fn whom_nothing_is_granted_is_refused() {
    assert_eq!(refused_for(json!({ "groups": ["sales"] })).await, Refusal::Grant);
}

#[tokio::test]
async fn a_signature_of_another_key_is_refused() {
    let (key, other) = (Key::ec("k1"), Key::ec("k1"));
    let issuer = Issuer::new(&[&key]).await;
    let token = other.token(&issuer.claims());
    assert_eq!(
        issuer.oidc().await.who(&token, Instant::now()).await.expect_err("refused"),
        Refusal::Signature
    );
}

#[tokio::test]
async fn claims_that_were_changed_after_they_were_signed_are_refused() {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[&key]).await;
    let token = key.token(&issuer.claims());
    let parts: Vec<&str> = token.split('.').collect();
    let forged = format!(
        "{}.{}.{}",
        parts[0],
        coded(issuer.claims_but(json!({ "sub": "root" })).to_string()),
        parts[2]
    );
    assert_eq!(
        issuer.oidc().await.who(&forged, Instant::now()).await.expect_err("refused"),
        Refusal::Signature
    );
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[&key]).await;
    let oidc = issuer.oidc().await;
    for algorithm in ["none", "None", "NONE", ""] {
        let header = coded(json!({ "alg": algorithm, "kid": "k1" }).to_string());
        let token = format!("{header}.{}.", coded(issuer.claims().to_string()));
        let refusal = oidc.who(&token, Instant::now()).await.expect_err("refused");
        assert!(matches!(refusal, Refusal::Unreadable | Refusal::Algorithm), "{refusal}");
    }
}

/// The public key, taken for a shared secret, would let everybody sign.
#[tokio::test]
async fn a_token_that_is_signed_with_a_shared_secret_is_refused() {
    let key = Key::rsa("k1", 2048);
    let issuer = Issuer::new(&[&key]).await;
    let secret = key.key.public_key_to_pem().expect("PEM");
    let text = format!(
        "{}.{}",
        coded(json!({ "alg": "HS256", "kid": "k1" }).to_string()),
        coded(issuer.claims().to_string())
    );
    let hmac = PKey::hmac(&secret).expect("a key");
    let signature = Signer::new(MessageDigest::sha256(), &hmac)
        .and_then(|mut signer| signer.sign_oneshot_to_vec(text.as_bytes()));
    let token = format!("{text}.{}", coded(signature.expect("signed")));
    assert_eq!(
        issuer.oidc().await.who(&token, Instant::now()).await.expect_err("refused"),
        Refusal::Algorithm
    );
}

#[tokio::test]
async fn a_key_is_only_for_the_signatures_that_it_is_meant_for() {
    let key = Key::rsa("k1", 2048);
    for but in [json!({ "use": "enc" }), json!({ "alg": "PS256" }), json!({ "alg": "RSA-OAEP" })] {
        let issuer = Issuer::new(&[]).await;
        let mut jwk = key.public();
        jwk.as_object_mut().expect("a key").extend(but.as_object().expect("fields").clone());
        issuer.says(StatusCode::OK, json!({ "keys": [jwk, Key::ec("k2").public()] }).to_string());
        let token = key.token(&issuer.claims());
        assert_eq!(
            issuer.oidc().await.who(&token, Instant::now()).await.expect_err("refused"),
            Refusal::Key,
            "{but}"
        );
    }
}

#[tokio::test]
async fn a_short_key_and_a_shared_secret_are_no_keys_and_do_not_hide_the_others() {
    let (short, good) = (Key::rsa("short", 1024), Key::ec("good"));
    let issuer = Issuer::new(&[]).await;
    let secret = json!({ "kty": "oct", "kid": "secret", "k": coded("hunter2") });
    let keys = json!({ "keys": [short.public(), secret, { "kty": "strange" }, 7, good.public()] });
    issuer.says(StatusCode::OK, keys.to_string());
    let oidc = issuer.oidc().await;
    assert_eq!(
        oidc.who(&short.token(&issuer.claims()), Instant::now()).await.expect_err("refused"),
        Refusal::Key
    );
    assert!(oidc.who(&good.token(&issuer.claims()), Instant::now()).await.is_ok());
}

#[tokio::test]
async fn what_is_no_token_is_refused_without_asking_the_issuer() {
    let issuer = Issuer::new(&[&Key::ec("k1")]).await;
    let oidc = issuer.oidc().await;
    for token in ["", ".", "..", "a.b", "a.b.c", "lzt_x", "eyJhbGciOiJFUzI1NiJ9..", "é.é.é"] {
        let refusal = oidc.who(token, Instant::now()).await.expect_err("refused");
        assert!(matches!(refusal, Refusal::Unreadable | Refusal::Signature), "{token}: {refusal}");
    }
    assert_eq!(issuer.asked(), 1, "when it was opened");
}

#[tokio::test]
async fn a_new_key_is_asked_for_when_it_comes_and_not_for_every_made_up_name() {
    let (first, second) = (Key::ec("k1"), Key::ec("k2"));
    let issuer = Issuer::new(&[&first]).await;
    let oidc = issuer.oidc().await;
    let (old, new) = (first.token(&issuer.claims()), second.token(&issuer.claims()));
    let now = Instant::now();
    assert!(oidc.who(&old, now).await.is_ok());
    assert_eq!(oidc.who(&new, now).await.expect_err("unknown"), Refusal::Key);
    assert_eq!(issuer.asked(), 1, "it was asked a moment ago");
    issuer.names(&[&first, &second]);
    let later = now + Duration::from_secs(11);
    for _ in 0..20 {
        let made_up = Key::ec("made-up").token(&issuer.claims());
        assert_eq!(oidc.who(&made_up, later).await.expect_err("unknown"), Refusal::Key);
    }
    assert_eq!(issuer.asked(), 2);
    assert!(oidc.who(&new, later).await.is_ok(), "it came with the answer");
    assert!(oidc.who(&old, later).await.is_ok());
}

#[tokio::test]
async fn keys_are_kept_while_the_issuer_does_not_answer_and_go_when_it_says_so() {
    let (key, other) = (Key::ec("k1"), Key::ec("k2"));
    let issuer = Issuer::new(&[&key]).await;
    let oidc = issuer.oidc().await;
    let token = key.token(&issuer.claims());
    let after = |hours: u64| Instant::now() + Duration::from_secs(hours * 3600 + 60);
    for (status, text) in [
        (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        (StatusCode::OK, "<html>".into()),
        (StatusCode::OK, json!({ "keys": [] }).to_string()),
        (StatusCode::OK, " ".repeat(300 << 10)),
        (StatusCode::FOUND, String::new()),
    ] {
        let before = issuer.asked();
        issuer.says(status, text);
        assert!(oidc.who(&token, after(before as u64)).await.is_ok(), "{status}");
        assert_eq!(issuer.asked(), before + 1, "{status}: it was asked once");
    }
    issuer.names(&[&other]);
    assert_eq!(oidc.who(&token, after(20)).await.expect_err("gone"), Refusal::Key);
}

#[tokio::test]
async fn an_issuer_that_did_not_answer_at_the_start_is_asked_again() {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[&key]).await;
    issuer.says(StatusCode::SERVICE_UNAVAILABLE, String::new());
    let oidc = issuer.oidc().await;
    let token = key.token(&issuer.claims());
    assert_eq!(oidc.who(&token, Instant::now()).await.expect_err("unknown"), Refusal::NoKeys);
    issuer.names(&[&key]);
    assert!(oidc.who(&token, Instant::now() + Duration::from_secs(11)).await.is_ok());
}

#[tokio::test]
async fn the_page_of_the_issuer_has_to_be_its_own() {
    let key = Key::ec("k1");
    let issuer = Issuer::new(&[&key]).await;
    let settings = config::Oidc { issuer: format!("{}/", issuer.url), ..issuer.settings() };
    let oidc = Oidc::open(&settings).await.expect("opened");
    let refusal = oidc.who(&key.token(&issuer.claims()), Instant::now()).await.expect_err("no keys");
    assert_eq!((refusal, issuer.asked()), (Refusal::NoKeys, 0));
}
