//! Rules about what Lazaret talks to: Kafka, the registry, the providers, its own address.

use std::path::PathBuf;

use super::{Findings, access, security};
use crate::config::address::{AddressError, http_address, is_this_machine};
use crate::config::model::{Config, GroupProtocol, Kafka, Postgres, Secret};
use crate::config::properties::{CLASSIC_ONLY, reserved};
use crate::config::units::Span;

/// Shortest transaction: an election of leaders passes within it.
const TRANSACTION_MIN: Span = Span::secs(5);
/// Longest name in PostgreSQL, in bytes.
const SCHEMA_MAX: usize = 63;
/// Most connections of one process that work at the same time.
const CONNECTIONS_MAX: u32 = 64;
/// Longest name of a currency.
const CURRENCY_MAX: usize = 12;

pub fn check(config: &Config, found: &mut Findings) {
    kafka(&config.kafka, found);
    security::check(&config.kafka, found);
    if let Some(registry) = &config.registry {
        url(&registry.url, "registry.url", found);
        login(&registry.username, &registry.password, "registry", found);
        found.not_zero("registry.timeout", registry.timeout);
    }
    for (name, provider) in &config.providers {
        let path = format!("providers.{name}");
        url(&provider.base_url, &format!("{path}.base_url"), found);
        found.not_zero(&format!("{path}.timeout"), provider.timeout);
        if provider.response_max.0 == 0 {
            found.error(format!("{path}.response_max"), "no answer would fit", "write a size such as 16MiB");
        }
    }
    currency(&config.currency, found);
    found.not_zero("sources.timeout", config.sources.timeout);
    stores(config, found);
    listen(&config.http.listen, found);
    access::check(&config.ops, found);
}

/// It is a label of metrics.
fn currency(name: &str, found: &mut Findings) {
    if !(1..=CURRENCY_MAX).contains(&name.len()) || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        let message = format!("'{name}' is no currency");
        found.error(
            "currency",
            message,
            format!("write a code such as USD or EUR, at most {CURRENCY_MAX} letters"),
        );
    }
}

/// Ledger, index and quarantine: each in a file or in a database.
fn stores(config: &Config, found: &mut Findings) {
    found.not_zero("ledger.retention", config.ledger.retention);
    let (ledger, index, quarantine) = (&config.ledger, &config.index, &config.quarantine);
    let stores = [
        ("ledger", &ledger.path, &ledger.postgres, ledger.names_file()),
        ("index", &index.path, &index.postgres, index.names_file()),
        ("quarantine", &quarantine.path, &quarantine.postgres, quarantine.names_file()),
    ];
    for (n, (name, path, postgres, names_file)) in stores.into_iter().enumerate() {
        if let Some(postgres) = postgres {
            if names_file {
                let message = format!("'path' and 'postgres' are two places for one {name}");
                found.error(format!("{name}.path"), message, "remove one of them");
            }
            database(postgres, &format!("{name}.postgres"), found);
            continue;
        }
        let same = |(_, other, postgres, _): &&(_, &PathBuf, &Option<Postgres>, _)| {
            postgres.is_none() && *other == path
        };
        if let Some((other, ..)) = stores.iter().take(n).find(same) {
            let message = format!("{other} and {name} are the same file");
            found.error(format!("{name}.path"), message, "give each a file of its own");
        }
    }
}

fn database(postgres: &Postgres, path: &str, found: &mut Findings) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let schema = &postgres.schema;
    let begins_well = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !begins_well || !schema.chars().all(plain) || schema.len() > SCHEMA_MAX || schema.starts_with("pg_") {
        let hint = "use lower case letters, digits and _, and not pg_ at the beginning, as in 'lazaret'";
        found.error(format!("{path}.schema"), format!("'{schema}' is not a name of a schema"), hint);
    }
    if !(1..=CONNECTIONS_MAX).contains(&postgres.connections) {
        let message = format!("there must be 1 to {CONNECTIONS_MAX} connections");
        found.error(format!("{path}.connections"), message, "leave it out, which gives 2");
    }
    found.not_zero(&format!("{path}.connect_timeout"), postgres.connect_timeout);
    found.not_zero(&format!("{path}.timeout"), postgres.timeout);
}

fn kafka(kafka: &Kafka, found: &mut Findings) {
    for server in kafka.bootstrap.split(',') {
        let server = server.trim();
        if host_and_port(server).is_none() {
            let message = match server {
                "" => "a broker is missing".to_owned(),
                other => format!("'{other}' is not a broker"),
            };
            found.error("kafka.bootstrap", message, "write host:port, several separated by commas");
        }
    }
    found.not_zero("kafka.timeout", kafka.timeout);
    found.not_zero("kafka.delivery_timeout", kafka.delivery_timeout);
    for name in kafka.properties.keys() {
        let path = format!("kafka.properties.{name}");
        if let Some(reserved) = reserved(name) {
            found.error(path, format!("'{name}' {}", reserved.why), reserved.instead);
        }
    }
    if kafka.transaction_timeout < TRANSACTION_MIN {
        let message =
            format!("a hiccup of a broker would end every transaction; it must be {TRANSACTION_MIN} or more");
        found.error("kafka.transaction_timeout", message, "write a duration such as 30s");
    }
    membership(kafka, found);
}

fn membership(kafka: &Kafka, found: &mut Findings) {
    let protocol = kafka.membership.protocol;
    if let Some(assignor) = kafka.membership.assignor.filter(|one| !protocol.assignors().contains(one)) {
        let known: Vec<&str> = protocol.assignors().iter().map(|one| one.as_str()).collect();
        let message = format!("protocol '{}' has no assignor '{}'", protocol.as_str(), assignor.as_str());
        found.error("kafka.membership.assignor", message, format!("use {}", known.join(" or ")));
    }
    let refused = CLASSIC_ONLY.iter().filter(|_| protocol == GroupProtocol::Consumer);
    for name in refused.filter(|name| kafka.properties.contains_key(**name)) {
        let message = format!("'{name}' is the broker's to say under protocol 'consumer'");
        let hint = "remove it, and set group.consumer.* on the brokers or the group, or use protocol classic";
        found.error(format!("kafka.properties.{name}"), message, hint);
    }
}

fn login(username: &Option<String>, password: &Option<Secret>, path: &str, found: &mut Findings) {
    if username.is_some() != password.is_some() {
        found.error(path, "username and password go together", "give both, or neither");
    }
}

/// The address itself is never quoted: somebody may have written a password into it.
pub fn url(text: &str, path: &str, found: &mut Findings) {
    let hint = "write a URL such as http://127.0.0.1:8089/v1";
    match http_address(text) {
        Ok(_) => {}
        Err(AddressError::NotUrl(_)) => found.error(path, "this is not a URL", hint),
        Err(AddressError::NotHttp) => found.error(path, "this is not an http or https URL", hint),
        Err(AddressError::Credentials) => found.error(
            path,
            "a URL must not carry credentials: it is shown in logs",
            "remove them from the URL and name the secret with { env: VARIABLE } or { file: PATH }",
        ),
    }
}

fn listen(listen: &str, found: &mut Findings) {
    if is_loopback(listen, "http.listen", "127.0.0.1:9464", found) == Some(false) {
        found.warning(
            "http.listen",
            format!("{listen} can be reached from other machines, without a login"),
            "keep it on 127.0.0.1, or let only the monitoring reach it",
        );
    }
}

/// Whether an address can be reached from this machine only; `None` when it is no address.
pub fn is_loopback(listen: &str, path: &str, example: &str, found: &mut Findings) -> Option<bool> {
    let Some((host, _)) = host_and_port(listen) else {
        found.error(
            path,
            format!("'{listen}' is not an address"),
            format!("write host:port, such as {example}"),
        );
        return None;
    };
    Some(is_this_machine(host))
}

/// `host:port` or `[v6]:port`.
pub fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    let clean = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    if bare && clean { Some((host, port.parse().ok()?)) } else { None }
}
