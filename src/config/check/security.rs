//! Rules about how Lazaret logs in at Kafka, and what of that others could read.

use super::Findings;
use super::connections::{host_and_port, url};
use crate::config::address::{http_address, is_loopback, is_this_machine};
use crate::config::model::{Kafka, Protocol, Security, TokenEndpoint, TokenSource};

/// Logs in by a token.
const OAUTHBEARER: &str = "OAUTHBEARER";
const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", OAUTHBEARER];

pub fn check(kafka: &Kafka, found: &mut Findings) {
    given(&kafka.security, found);
    if let Some(open) = in_the_clear(kafka) {
        found.warning("kafka.security.protocol", open.message, open.hint);
    }
}

fn given(security: &Security, found: &mut Findings) {
    let path = "kafka.security";
    let sasl = matches!(security.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl);
    let tls = matches!(security.protocol, Protocol::Ssl | Protocol::SaslSsl);
    let by_token = security.mechanism.as_deref() == Some(OAUTHBEARER);
    // Name, given, used by the protocol, needed.
    let given = [
        ("mechanism", security.mechanism.is_some(), sasl, true),
        ("username", security.username.is_some(), sasl, !by_token),
        ("password", security.password.is_some(), sasl, !by_token),
        ("token", security.token.is_some(), sasl, by_token),
        ("ca_file", security.ca_file.is_some(), tls, false),
        ("certificate_file", security.certificate_file.is_some(), tls, false),
        ("key_file", security.key_file.is_some(), tls, false),
    ];
    for (name, is_given, is_used, is_needed) in given {
        if sasl && is_needed && !is_given {
            let hint = match name {
                "mechanism" => format!("add 'mechanism: …'; known are {}", MECHANISMS.join(", ")),
                "password" => "add 'password: { env: VARIABLE }' or 'password: { file: PATH }'".to_owned(),
                "token" => {
                    "add 'token: { file: PATH }', or 'token: { endpoint: … }' with url, client_id and \
                            client_secret"
                        .to_owned()
                }
                _ => "add 'username: …'".to_owned(),
            };
            found.error(path, format!("SASL needs a {name}"), hint);
        }
        if is_given && !is_used {
            let needed = if tls || ["ca_file", "certificate_file", "key_file"].contains(&name) {
                "ssl or sasl_ssl"
            } else {
                "sasl_ssl or sasl_plaintext"
            };
            found.error(
                format!("{path}.{name}"),
                format!("'{name}' has no effect with this protocol"),
                format!("set 'protocol' to {needed}, or remove it"),
            );
        } else if is_given && !is_needed && ["username", "password", "token"].contains(&name) {
            let hint = match by_token {
                true => "remove it: who we are stands in the token".to_owned(),
                false => format!("set 'mechanism' to {OAUTHBEARER}, or remove it"),
            };
            found.error(
                format!("{path}.{name}"),
                format!("'{name}' has no effect with this mechanism"),
                hint,
            );
        }
    }
    if let Some(mechanism) = security.mechanism.as_deref().filter(|m| !MECHANISMS.contains(m)) {
        let hint = crate::config::suggest::hint(mechanism, "known are", MECHANISMS);
        found.error(format!("{path}.mechanism"), format!("'{mechanism}' is not a mechanism"), hint);
    }
    if security.certificate_file.is_some() != security.key_file.is_some() {
        found.error(path, "a client certificate and its key go together", "give both, or neither");
    }
    if let Some(TokenSource::Endpoint(endpoint)) = &security.token {
        token_endpoint(endpoint, &format!("{path}.token.endpoint"), found);
    }
}

fn token_endpoint(endpoint: &TokenEndpoint, path: &str, found: &mut Findings) {
    url(&endpoint.url, &format!("{path}.url"), found);
    if http_address(&endpoint.url).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url)) {
        found.warning(
            format!("{path}.url"),
            "the client's secret goes there, and the token comes back, without encryption",
            "use an https URL",
        );
    }
    if endpoint.client_id.is_empty() {
        found.error(format!("{path}.client_id"), "it is empty", "write the name that the issuer knows us by");
    }
    for (name, value) in &endpoint.extensions {
        // What librdkafka takes a list of them apart by.
        let is_plain = |text: &str| !text.is_empty() && !text.contains([',', '=']) && text.is_ascii();
        if !name.chars().all(|c| c.is_ascii_alphabetic()) || !is_plain(name) || !is_plain(value) {
            let hint = "write letters only in the name, and neither ',' nor '=' in the value";
            found.error(format!("{path}.extensions.{name}"), "this is not an extension", hint);
        }
    }
}

/// What to tell of a login that others can read on its way.
pub struct InTheClear {
    pub message: String,
    pub hint: &'static str,
}

/// Whether a password or token goes to Kafka as it is, and leaves this machine so. SCRAM sends none.
pub fn in_the_clear(kafka: &Kafka) -> Option<InTheClear> {
    let security = &kafka.security;
    let what = match security.mechanism.as_deref() {
        Some("PLAIN") => "the password",
        Some(OAUTHBEARER) => "the token",
        _ => return None,
    };
    let outside =
        |server: &&str| host_and_port(server.trim()).is_some_and(|(host, _)| !is_this_machine(host));
    let server =
        kafka.bootstrap.split(',').find(outside).filter(|_| security.protocol == Protocol::SaslPlaintext)?;
    let message = format!("{what} goes to {} without encryption, and who sees it can use it", server.trim());
    let hint = "set 'protocol' to sasl_ssl, and use a listener of the brokers that has TLS";
    Some(InTheClear { message, hint })
}
