//! `config::Kafka` as librdkafka properties, and the question whether the cluster can be reached. Never logs a
//! property: some are secrets.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseProducer, Producer as _};
use secrecy::ExposeSecret as _;

use super::context::{Context, Trouble, TroubleKind};
use super::problem::KafkaProblem;
use super::token;
use crate::config::{Kafka, Protocol, Size, Span, reserved};

/// Room that librdkafka wants above the largest fetch for protocol framing.
const FRAMING: u64 = 1 << 20;

/// Properties that every client has. `verb` is the command it serves.
pub fn base(kafka: &Kafka, verb: &str) -> Result<ClientConfig, KafkaProblem> {
    let mut config = ClientConfig::new();
    for (name, value) in &kafka.properties {
        if let Some(reserved) = reserved(name) {
            let message = format!("it {}; {}", reserved.why, reserved.instead);
            return Err(KafkaProblem::Config { place: format!("properties.{name}"), message });
        }
        config.set(name, value);
    }
    default(&mut config, &["socket.timeout.ms"], "30000");
    default(&mut config, &["socket.connection.setup.timeout.ms"], "10000");
    default(&mut config, &["socket.keepalive.enable"], "true");
    default(&mut config, &["reconnect.backoff.ms"], "100");
    default(&mut config, &["reconnect.backoff.max.ms"], "5000");
    config.set("bootstrap.servers", &kafka.bootstrap);
    config.set("client.id", format!("lazaret-{verb}"));
    config.set_log_level(RDKafkaLogLevel::Info);
    secure(&mut config, kafka)?;
    Ok(config)
}

/// Sets a property unless somebody has given it, under any of its names; the first is ours.
pub fn default(config: &mut ClientConfig, names: &[&str], value: &str) {
    if let [name, ..] = names
        && names.iter().all(|name| config.get(name).is_none())
    {
        config.set(*name, value);
    }
}

/// A consumer that commits by hand. `message_max` is `Topology::message_max`.
pub fn consumer(
    kafka: &Kafka,
    verb: &str,
    group: &str,
    message_max: Size,
) -> Result<ClientConfig, KafkaProblem> {
    let mut config = base(kafka, verb)?;
    let fetch_max = message_max.0.max(50 << 20);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("isolation.level", "read_committed")
        .set("message.max.bytes", message_max.0.max(1000).to_string())
        .set("fetch.max.bytes", fetch_max.to_string())
        .set("receive.message.max.bytes", (fetch_max + FRAMING).to_string());
    Ok(config)
}

/// A producer that neither doubles nor reorders. `message_max` and `batch_max` are those of the `Topology`.
pub fn producer(
    kafka: &Kafka,
    verb: &str,
    message_max: Size,
    batch_max: Size,
) -> Result<ClientConfig, KafkaProblem> {
    let mut config = base(kafka, verb)?;
    let batch = batch_max.0.clamp(1, 1_000_000);
    default(&mut config, &["compression.type", "compression.codec"], "lz4");
    default(&mut config, &["linger.ms", "queue.buffering.max.ms"], "5");
    // How long a topic may be unknown before its records fail; the default of 30 s hides a missing topic.
    default(&mut config, &["topic.metadata.propagation.max.ms"], "10000");
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("delivery.timeout.ms", kafka.delivery_timeout.0.as_millis().to_string())
        .set("message.max.bytes", message_max.0.max(1000).to_string())
        .set("batch.size", batch.to_string());
    Ok(config)
}

fn secure(config: &mut ClientConfig, kafka: &Kafka) -> Result<(), KafkaProblem> {
    let security = &kafka.security;
    let protocol = match security.protocol {
        Protocol::Plaintext => "plaintext",
        Protocol::Ssl => "ssl",
        Protocol::SaslPlaintext => "sasl_plaintext",
        Protocol::SaslSsl => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(mechanism) = &security.mechanism {
        config.set("sasl.mechanism", mechanism);
    }
    if let Some(username) = &security.username {
        config.set("sasl.username", username);
    }
    if let Some(password) = &security.password {
        let password = password.read().map_err(|error| KafkaProblem::Config {
            place: "security.password".into(),
            message: error.to_string(),
        })?;
        config.set("sasl.password", password.expose_secret());
    }
    let files = [
        ("ssl.ca.location", "ca_file", &security.ca_file),
        ("ssl.certificate.location", "certificate_file", &security.certificate_file),
        ("ssl.key.location", "key_file", &security.key_file),
    ];
    for (property, key, path) in files {
        let Some(path) = path else { continue };
        readable(path, &format!("security.{key}"))?;
        config.set(property, path.to_string_lossy());
    }
    security.token.as_ref().map_or(Ok(()), |source| token::set(config, source))
}

/// librdkafka tells less of a file that is not there. `place` is the key below `kafka`.
pub(super) fn readable(path: &Path, place: &str) -> Result<(), KafkaProblem> {
    std::fs::File::open(path).map(drop).map_err(|error| KafkaProblem::Config {
        place: place.to_owned(),
        message: format!("cannot read {}: {error}", path.display()),
    })
}

/// What a first look at the cluster shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterInfo {
    /// `host:port` of each broker.
    pub brokers: Vec<String>,
    /// Partitions of each topic that this user may see.
    pub topics: BTreeMap<String, usize>,
}

/// [`ensure_reachable`] with the configuration's own time-out: what every verb does first.
pub async fn reach(kafka: &Kafka, verb: &str) -> Result<ClusterInfo, KafkaProblem> {
    ensure_reachable(&base(kafka, verb)?, kafka.timeout.0).await
}

/// Asks the cluster for its metadata and waits at most `timeout`. `config` comes from [`base`].
///
/// Refused credentials and failed TLS are told at once, since they do not heal by waiting; a broker or a token endpoint that
/// is not there is waited for, since it may be starting.
pub async fn ensure_reachable(config: &ClientConfig, timeout: Duration) -> Result<ClusterInfo, KafkaProblem> {
    let config = config.clone();
    let asked = tokio::task::spawn_blocking(move || look(&config, timeout)).await;
    asked.unwrap_or_else(|error| {
        Err(KafkaProblem::Other { what: "ask for the cluster's metadata".into(), cause: error.to_string() })
    })
}

fn look(config: &ClientConfig, timeout: Duration) -> Result<ClusterInfo, KafkaProblem> {
    /// Between two clients.
    const PAUSE: Duration = Duration::from_millis(500);
    let deadline = Instant::now() + timeout;
    let mut told = false;
    loop {
        let context = Context::quiet();
        let made = config.create_with_context(context.clone());
        let client: BaseProducer<Context> = made.map_err(|e| KafkaProblem::properties(&e))?;
        let mut tell = |trouble: &Trouble| {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!("waiting up to {} for kafka: {}", Span(timeout), trouble.text);
            }
        };
        let asked = ask(&client, &context, deadline, &mut tell);
        dispose(client);
        match asked {
            Ok(info) => return Ok(info),
            // This client would ask for a token again only after ten seconds; one that is made anew asks at once.
            Err(Some(trouble))
                if trouble.kind == TroubleKind::Issuer && Instant::now() + PAUSE < deadline =>
            {
                tell(&trouble);
                std::thread::park_timeout(PAUSE);
            }
            Err(trouble) => return Err(explain(config, timeout, trouble)),
        }
    }
}

/// Asks until there is an answer, a trouble of which this client waits in vain, or the time is up.
fn ask(
    client: &BaseProducer<Context>,
    context: &Context,
    deadline: Instant,
    tell: &mut impl FnMut(&Trouble),
) -> Result<ClusterInfo, Option<Trouble>> {
    const SLICE: Duration = Duration::from_millis(250);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = client.client().fetch_metadata(None, left.min(SLICE).max(Duration::from_millis(1)));
        // Logs and errors of librdkafka reach the context only while it is polled.
        client.poll(Duration::ZERO);
        match (answer, context.trouble()) {
            (Ok(metadata), _) => return Ok(cluster_info(&metadata)),
            (Err(_), Some(trouble)) if trouble.kind > TroubleKind::Connection => return Err(Some(trouble)),
            (Err(_), trouble) if left.is_zero() => return Err(trouble),
            (Err(_), Some(trouble)) => {
                tell(&trouble);
                client.poll(left.min(SLICE));
            }
            (Err(_), None) => client.poll(left.min(SLICE)),
        }
    }
}

fn cluster_info(metadata: &rdkafka::metadata::Metadata) -> ClusterInfo {
    ClusterInfo {
        brokers: metadata.brokers().iter().map(|b| format!("{}:{}", b.host(), b.port())).collect(),
        topics: metadata.topics().iter().map(|t| (t.name().to_owned(), t.partitions().len())).collect(),
    }
}

fn explain(config: &ClientConfig, waited: Duration, trouble: Option<Trouble>) -> KafkaProblem {
    let bootstrap = config.get("bootstrap.servers").unwrap_or_default().to_owned();
    match trouble {
        Some(Trouble { kind: TroubleKind::Authentication, text }) => {
            KafkaProblem::Unauthenticated { bootstrap, cause: text }
        }
        Some(Trouble { kind: TroubleKind::Issuer | TroubleKind::Token, text }) => {
            KafkaProblem::NoToken { cause: text }
        }
        Some(Trouble { kind: TroubleKind::Tls, text }) => KafkaProblem::Tls { bootstrap, cause: text },
        Some(Trouble { kind: TroubleKind::Authorization, text }) => {
            KafkaProblem::NotAuthorized { what: "look at the cluster".into(), cause: text }
        }
        Some(Trouble { kind: TroubleKind::Connection, text }) => {
            KafkaProblem::Unreachable { bootstrap, waited, cause: text }
        }
        // An endpoint that says that it cannot now is asked again for a minute without a word.
        None if config.get("sasl.oauthbearer.method").is_some() => {
            let cause = "no answer, of the broker or of the token endpoint".into();
            KafkaProblem::Unreachable { bootstrap, waited, cause }
        }
        None => KafkaProblem::Unreachable { bootstrap, waited, cause: "no answer".into() },
    }
}

/// Drops a client on a thread of its own and waits only a little: librdkafka's destructor can hang for ever.
pub fn dispose<T: Send + 'static>(client: T) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let (done, wait) = std::sync::mpsc::channel();
    let dropping = std::thread::Builder::new().name("kafka-close".into()).spawn(move || {
        drop(client);
        let _ = done.send(());
    });
    if dropping.is_ok() && wait.recv_timeout(PATIENCE).is_err() {
        tracing::warn!("a kafka client did not close in {PATIENCE:?}; it is left behind");
    }
}

#[cfg(test)]
mod tests;
