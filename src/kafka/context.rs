//! What librdkafka says, brought into our logs without flooding them, and the last trouble it had, so that an
//! error message can name the cause instead of "timed out".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::problem::KafkaProblem;
use crate::flow::fault::one_line;

/// A facility that goes on talking is heard this often. librdkafka repeats itself at every reconnect.
const QUIET: Duration = Duration::from_secs(10);
/// A trouble that says more hides what comes after it for so long: what follows from it comes soon.
const HIDES: Duration = Duration::from_secs(60);
/// Longest log line and longest cause kept, in bytes.
const TEXT_MAX: usize = 500;

/// The client context of every Lazaret client; one per client.
#[derive(Clone, Default)]
pub struct Context {
    /// Everything goes to the debug log: whoever made the client tells what is wrong.
    quiet: bool,
    /// The consumer group, where there is one, so that a line can be told from those of other stages.
    group: Option<String>,
    limiter: Arc<Mutex<Limiter>>,
    troubles: Arc<Mutex<Troubles>>,
}

#[derive(Default)]
struct Troubles {
    /// The most telling one, and when it was last told.
    telling: Option<(Trouble, Instant)>,
    /// What kind the last error was of that had to do with logging in.
    last: Option<TroubleKind>,
}

/// The last thing that went wrong between this client and the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub kind: TroubleKind,
    pub text: String,
}

/// Ordered by how much a kind says: a refused password also shows as "all brokers are down".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    Connection,
    Authorization,
    Tls,
    Authentication,
    /// The token endpoint does not answer, or cannot now: it may be starting.
    Issuer,
    /// There is nothing to log in with: nobody hands out a token.
    Token,
}

impl Context {
    /// For a client whose troubles are reported by its owner.
    pub fn quiet() -> Self {
        Self { quiet: true, ..Self::default() }
    }

    /// For the consumer of this group.
    pub fn of(group: &str) -> Self {
        Self { group: Some(group.to_owned()), ..Self::default() }
    }

    /// The most telling trouble so far.
    pub fn trouble(&self) -> Option<Trouble> {
        self.troubles().telling.as_ref().map(|(trouble, _)| trouble.clone())
    }

    /// Whether this error, which has just come, says no more than that no new token came. The present one may be good for
    /// long yet, and the client asks again by itself.
    pub fn lacks_token(&self, error: &KafkaError) -> bool {
        error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication)
            && self.troubles().last.is_some_and(|kind| kind >= TroubleKind::Issuer)
    }

    /// An error, or what was said of one, with the trouble that may be behind it, unless it names that.
    pub fn explain(&self, error: impl std::fmt::Display) -> String {
        let error = error.to_string();
        match self.trouble() {
            Some(trouble) if !error.contains(&trouble.text) => {
                format!("{error} (last trouble: {})", trouble.text)
            }
            _ => error,
        }
    }

    /// What an error that ends an undertaking comes of; `what` is a phrase such as "read topic x".
    pub fn problem(&self, what: impl Into<String>, error: &KafkaError) -> KafkaProblem {
        use RDKafkaErrorCode as Code;
        // These say that it went wrong, and the trouble says what.
        let vague = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::Authentication
                    | Code::SaslAuthenticationFailed
                    | Code::OperationTimedOut
                    | Code::BrokerTransportFailure
                    | Code::AllBrokersDown
            )
        );
        match self.trouble() {
            Some(Trouble { kind, text }) if vague && kind >= TroubleKind::Issuer => {
                KafkaProblem::NoToken { cause: text }
            }
            Some(Trouble { text, .. }) if vague => KafkaProblem::Other { what: what.into(), cause: text },
            _ => KafkaProblem::from_error(what, error),
        }
    }

    /// Forgets old trouble, so that a later error is not explained with it: for who has just been answered.
    pub fn clear(&self) {
        self.troubles().telling = None;
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, code: Option<RDKafkaErrorCode>, text: &str, now: Instant) {
        let Some(kind) = trouble_kind(code, text) else { return };
        let mut troubles = self.troubles();
        let text = without_thread(text);
        if let Some((known, told)) = &mut troubles.telling
            && known.kind == TroubleKind::Issuer
            && text
                .strip_prefix(NO_TOKEN)
                .is_some_and(|cause| known.text.contains(&one_line(cause, TEXT_MAX)))
        {
            // The log has told it already, and where and with what answer.
            *told = now;
            troubles.last = Some(TroubleKind::Issuer);
            return;
        }
        // Log lines come before errors that were there earlier, and a connection says nothing of logins.
        if kind >= TroubleKind::Authentication {
            troubles.last = Some(kind);
        }
        let hidden = |(known, told): &(Trouble, Instant)| {
            known.kind > kind && now.saturating_duration_since(*told) < HIDES
        };
        if !troubles.telling.as_ref().is_some_and(hidden) {
            troubles.telling = Some((Trouble { kind, text: one_line(text, TEXT_MAX) }, now));
        }
    }

    fn heard(&self, facility: &str) -> Option<u64> {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.admit(facility, Instant::now())
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        // A broker that hangs up is told of on a lower level than an error, but it is what went wrong.
        if matches!(level, Emerg | Alert | Critical | Error) || facility == "FAIL" {
            self.note(None, text, Instant::now());
        }
        let Some(suppressed) = self.heard(facility) else { return };
        let text = one_line(text, TEXT_MAX);
        let group = self.group.as_deref();
        // kafka.properties go to producers and consumers alike, and each tells which ones it does not need.
        let level = if self.quiet || facility == "CONFWARN" { Debug } else { level };
        // Nothing is lost when librdkafka reconnects by itself, so its errors are our warnings.
        match level {
            Emerg | Alert | Critical => tracing::error!(facility, suppressed, group, "kafka client: {text}"),
            Error | Warning => tracing::warn!(facility, suppressed, group, "kafka client: {text}"),
            Notice | Info => tracing::info!(facility, suppressed, group, "kafka client: {text}"),
            Debug => tracing::debug!(facility, suppressed, group, "kafka client: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is no error: whoever reads topics to their end asked to be told.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        self.note(error.rdkafka_error_code(), reason, Instant::now());
        let Some(suppressed) = self.heard("ERROR") else { return };
        let reason = one_line(reason, TEXT_MAX);
        if self.quiet {
            tracing::debug!(suppressed, "kafka client: {error}: {reason}");
        } else {
            tracing::warn!(suppressed, "kafka client: {error}: {reason}");
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// librdkafka puts the name of its thread before a log line; the broker's name follows in the text.
fn without_thread(text: &str) -> &str {
    match text.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")) {
        Some((_, rest)) => rest,
        None => text,
    }
}

/// Tells what kind of trouble an error is, by its code where there is one and else by librdkafka's wording.
fn trouble_kind(code: Option<RDKafkaErrorCode>, text: &str) -> Option<TroubleKind> {
    // Both come before there is a login, the second with the code of a refused one.
    if text.contains("Failed to retrieve OIDC token") {
        return Some(if may_be_starting(text) { TroubleKind::Issuer } else { TroubleKind::Token });
    }
    if text.contains(NO_TOKEN) {
        return Some(TroubleKind::Token);
    }
    match code {
        Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
            return Some(TroubleKind::Authentication);
        }
        Some(RDKafkaErrorCode::SSL) => return Some(TroubleKind::Tls),
        // Says nothing about the cause, and comes after the error that does.
        Some(RDKafkaErrorCode::AllBrokersDown) => return None,
        _ => {}
    }
    let has = |needle: &str| text.contains(needle);
    if has("Authentication fail")
        || has("SASL authentication error")
        || has("SASL PLAIN mechanism")
        || has("SASL OAUTHBEARER authentication failed")
    {
        Some(TroubleKind::Authentication)
    } else if has("SSL handshake failed") || has("ssl.") {
        Some(TroubleKind::Tls)
    } else if has("authorization failed") {
        Some(TroubleKind::Authorization)
    } else if has("Connect to") || has("resolve") || has("Disconnected") || has("Connection setup timed out")
    {
        Some(TroubleKind::Connection)
    } else {
        None
    }
}

/// How librdkafka begins to say that it has no token.
const NO_TOKEN: &str = "Failed to acquire SASL OAUTHBEARER token: ";

/// What the token endpoint answered stands at the end, in parentheses: an HTTP status, or -1 for none. A certificate that nobody
/// vouches for is no better later.
fn may_be_starting(text: &str) -> bool {
    let code = text.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once('('));
    match code.and_then(|(_, code)| code.parse::<i32>().ok()) {
        Some(-1) => !text.contains("certificate") && !text.contains("SSL"),
        Some(code) => matches!(code, 408 | 425 | 429 | 500..=599),
        None => false,
    }
}

/// Lets one line per facility through and counts the rest. Time is an input.
#[derive(Default)]
struct Limiter {
    heard: HashMap<String, (Instant, u64)>,
}

impl Limiter {
    /// How many lines were held back since the last one, if this one may pass.
    fn admit(&mut self, facility: &str, now: Instant) -> Option<u64> {
        match self.heard.get_mut(facility) {
            Some((last, held)) if now.saturating_duration_since(*last) < QUIET => {
                *held += 1;
                None
            }
            Some((last, held)) => {
                *last = now;
                Some(std::mem::take(held))
            }
            None => {
                self.heard.insert(facility.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests;
