//! The public keys of the issuer. They are read when they are needed, kept as long as nobody says otherwise, and asked for anew
//! when a token names one that is not among them, or after an hour; never more often than every ten seconds, since anybody
//! can make up names of keys. What the issuer sends is bounded in size and time.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use reqwest::{Client, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;
use url::Url;

use super::{ALGORITHMS, Refusal};
use crate::config::{Jwks, Oidc, is_safe};

/// Between two questions.
const AGAIN: Duration = Duration::from_secs(10);
/// How long keys are believed without asking again whether they still are the issuer's.
const FRESH: Duration = Duration::from_secs(3600);
/// For an answer.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Of an answer, or a file.
const SIZE_MAX: usize = 256 << 10;
/// The shortest modulus of RSA, in bytes.
const RSA_MIN: usize = 256;

/// The keys cannot be read. Says where from, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the keys cannot be read from {from}: {why}")]
pub struct KeysError {
    from: String,
    why: String,
}

struct Key {
    id: Option<String>,
    /// The only signature that it is for, if it says so.
    algorithm: Option<KeyAlgorithm>,
    key: DecodingKey,
}

enum Source {
    File(PathBuf),
    Url(Client, Url),
    /// The issuer says where.
    Issuer(Client, String),
}

/// See the module.
pub struct Keys {
    source: Source,
    known: RwLock<Known>,
    /// When they were asked for last; whoever asks holds it.
    asked: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    keys: Vec<Key>,
    read: Option<Instant>,
}

impl Keys {
    pub async fn open(settings: &Oidc, now: Instant) -> Result<Self, KeysError> {
        let source = match &settings.jwks {
            Some(Jwks::File(path)) => Source::File(path.clone()),
            Some(Jwks::Url(url)) => Source::Url(client(url)?, parse(url)?),
            None => Source::Issuer(client(&settings.issuer)?, settings.issuer.clone()),
        };
        let keys = Self { source, known: RwLock::default(), asked: Mutex::new(None) };
        match keys.refresh(&mut *keys.asked.lock().await, now).await {
            Err(error) if matches!(keys.source, Source::File(_)) => return Err(error),
            Err(error) => tracing::warn!("{error}; it is asked again when somebody comes with a token"),
            Ok(()) => {}
        }
        Ok(keys)
    }

    /// The key with this name, for this kind of signature. A token may leave the name out where there is only one that fits.
    pub async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
    ) -> Result<DecodingKey, Refusal> {
        let (found, is_fresh) = self.look(id, algorithm, now);
        if let (Some(key), true) = (&found, is_fresh) {
            return Ok(key.clone());
        }
        let asked = match found {
            // Somebody asks already, and this one is good enough until the answer is there.
            Some(_) => self.asked.try_lock().ok(),
            None => Some(self.asked.lock().await),
        };
        if let Some(mut asked) = asked
            && let Err(error) = self.refresh(&mut asked, now).await
        {
            tracing::warn!("{error}; those that are known are kept");
        }
        match self.look(id, algorithm, now) {
            (Some(key), _) => Ok(key),
            (None, _) if self.known.read().unwrap_or_else(PoisonError::into_inner).read.is_none() => {
                Err(Refusal::NoKeys)
            }
            (None, _) => Err(Refusal::Key),
        }
    }

    /// Whether they are fresh comes with it.
    fn look(&self, id: Option<&str>, algorithm: Algorithm, now: Instant) -> (Option<DecodingKey>, bool) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut fitting = known.keys.iter().filter(|key| key.fits(id, algorithm));
        let first = fitting.next().filter(|_| id.is_some() || fitting.next().is_none());
        let is_fresh = known.read.is_some_and(|read| now.duration_since(read) < FRESH);
        (first.map(|key| key.key.clone()), is_fresh)
    }

    async fn refresh(&self, asked: &mut Option<Instant>, now: Instant) -> Result<(), KeysError> {
        if asked.is_some_and(|asked| now.duration_since(asked) < AGAIN) {
            return Ok(());
        }
        *asked = Some(now);
        let wrong = |why: String| KeysError { from: self.source.place(), why };
        let keys = self.source.read().await.and_then(|text| keys(&text)).map_err(wrong)?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { keys, read: Some(now) };
        Ok(())
    }
}

impl Key {
    fn of(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if matches!(&jwk.common.public_key_use, Some(of) if *of != PublicKeyUse::Signature) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let is_short =
            matches!(key.kind(), DecodingKeyKind::RsaModulusExponent { n, .. } if n.len() < RSA_MIN);
        if is_short || key.family() == AlgorithmFamily::Hmac {
            return None;
        }
        Some(Self { id: jwk.common.key_id, algorithm: jwk.common.key_algorithm, key })
    }

    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        (id.is_none() || self.id.as_deref() == id)
            && self.key.family() == algorithm.family()
            && self.algorithm.is_none_or(|only| only == KeyAlgorithm::from(algorithm))
    }
}

/// Those that signatures can be checked by. One that nobody can use does not stand in the way of the others.
fn keys(text: &[u8]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set =
        serde_json::from_slice(text).map_err(|error| format!("it is no set of keys (JWKS): {error}"))?;
    let keys: Vec<Key> = set.keys.into_iter().filter_map(Key::of).collect();
    let names = || ALGORITHMS.map(|algorithm| format!("{algorithm:?}")).join(", ");
    if keys.is_empty() { Err(format!("no key among them is for one of {}", names())) } else { Ok(keys) }
}

impl Source {
    fn place(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Url(_, url) => url.to_string(),
            Source::Issuer(_, issuer) => issuer.clone(),
        }
    }

    async fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Source::File(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
                let mut text = Vec::new();
                let most = u64::try_from(SIZE_MAX).unwrap_or(u64::MAX);
                file.take(most + 1).read_to_end(&mut text).await.map_err(|error| error.to_string())?;
                if text.len() > SIZE_MAX { Err(too_large()) } else { Ok(text) }
            }
            Source::Url(client, url) => get(client, url.clone()).await,
            Source::Issuer(client, issuer) => get(client, discover(client, issuer).await?).await,
        }
    }
}

/// Where the issuer says that its keys are.
async fn discover(client: &Client, issuer: &str) -> Result<Url, String> {
    #[derive(Deserialize)]
    struct About {
        issuer: String,
        jwks_uri: Url,
    }
    let page = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let page = Url::parse(&page).map_err(|error| error.to_string())?;
    let about: About = serde_json::from_slice(&get(client, page).await?)
        .map_err(|error| format!("its openid-configuration cannot be read: {error}"))?;
    if about.issuer != issuer {
        return Err(
            "its openid-configuration is that of another issuer; write 'issuer' exactly as it does".into()
        );
    }
    match is_safe(&about.jwks_uri) {
        true => Ok(about.jwks_uri),
        false => {
            Err("its openid-configuration leads to keys that could be changed on the way, without https"
                .into())
        }
    }
}

async fn get(client: &Client, url: Url) -> Result<Vec<u8>, String> {
    // The address stands in the message already.
    let mut reply = client.get(url).send().await.map_err(|error| cause(error.without_url()))?;
    if !reply.status().is_success() {
        return Err(format!("it answers with {}", reply.status()));
    }
    let mut text = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(|error| cause(error.without_url()))? {
        text.extend_from_slice(&chunk);
        if text.len() > SIZE_MAX {
            return Err(too_large());
        }
    }
    Ok(text)
}

fn too_large() -> String {
    format!("it is larger than {} KiB", SIZE_MAX >> 10)
}

/// With what is behind it.
fn cause(error: reqwest::Error) -> String {
    let behind = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    behind.fold(error.to_string(), |text, error| format!("{text}: {error}"))
}

fn parse(url: &str) -> Result<Url, KeysError> {
    Url::parse(url).map_err(|error| KeysError { from: url.into(), why: error.to_string() })
}

fn client(url: &str) -> Result<Client, KeysError> {
    let mut builder = Client::builder()
        .user_agent(concat!("lazaret/", env!("CARGO_PKG_VERSION")))
        .timeout(TIME_MAX)
        // It would lead to a place that nobody configured.
        .redirect(redirect::Policy::none());
    if parse(url)?.scheme() == "http" {
        // Only this machine is asked in this way.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| KeysError { from: url.into(), why: cause(error) })
}
