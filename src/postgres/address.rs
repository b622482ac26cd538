//! Where a database is and how to talk to it, out of a URL that holds a password. The URL is never shown: messages name
//! host, port and database.

use std::path::Path;
use std::time::Duration;

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use secrecy::ExposeSecret;
use tokio_postgres::config::{Host, SslMode};
use url::form_urlencoded;

use super::place::Place;
use crate::config::Postgres;
use crate::failure::Failure;

/// An unused connection is looked after this often, so that one whose other end is gone is noticed.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// See the module.
pub struct Address {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeTlsConnector,
    pub(super) schema: String,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
}

impl Address {
    /// `what` and `key` are for messages: `job ledger`, `ledger.postgres`.
    pub fn of(settings: &Postgres, what: &'static str, key: &'static str) -> Result<(Self, Place), Failure> {
        let wrong = |cause: String| Failure(format!("{key}.url: {cause}"));
        let url = settings.url.read().map_err(|e| wrong(e.to_string()))?;
        let (url, security) = Security::split(url.expose_secret());
        // What the parser has to say may quote the URL.
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| {
            wrong(
                "the secret is not the URL of a PostgreSQL database; write \
                 postgres://user:password@host:5432/database, with %-codes for special characters"
                    .into(),
            )
        })?;
        config.ssl_mode(security.mode().map_err(wrong)?);
        config.connect_timeout(settings.connect_timeout.0);
        config.tcp_user_timeout(settings.timeout.0);
        config
            .keepalives(true)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("lazaret");
        }
        let place = Place { what, at: shown(&config, &settings.schema) };
        let address = Self {
            tls: MakeTlsConnector::new(security.connector().map_err(wrong)?),
            schema: settings.schema.clone(),
            connect_timeout: settings.connect_timeout.0,
            timeout: settings.timeout.0,
            config,
        };
        Ok((address, place))
    }

    /// Schema of our tables.
    pub fn schema(&self) -> &str {
        &self.schema
    }
}

fn shown(config: &tokio_postgres::Config, schema: &str) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}:{port}/{database}, schema {schema}", hosts.join(","))
}

/// What a URL says of TLS, as `psql` understands it. The driver knows less.
#[derive(Default)]
struct Security {
    mode: Option<String>,
    root: Option<String>,
}

impl Security {
    /// The URL without it.
    fn split(url: &str) -> (String, Self) {
        let after = url.rfind('@').unwrap_or(0);
        let Some(at) = url.get(after..).and_then(|rest| rest.find('?')).map(|at| at + after) else {
            return (url.to_owned(), Self::default());
        };
        let (base, query) = url.split_at(at);
        let mut security = Self::default();
        let mut left = Vec::new();
        for part in query.trim_start_matches('?').split('&').filter(|part| !part.is_empty()) {
            let Some((name, value)) = form_urlencoded::parse(part.as_bytes()).next() else { continue };
            match name.as_ref() {
                "sslmode" => security.mode = Some(value.into_owned()),
                "sslrootcert" => security.root = Some(value.into_owned()),
                _ => left.push(part),
            }
        }
        let query = left.join("&");
        (if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }, security)
    }

    fn mode(&self) -> Result<SslMode, String> {
        match self.mode.as_deref() {
            Some("disable") => Ok(SslMode::Disable),
            None | Some("allow" | "prefer") => Ok(SslMode::Prefer),
            Some("require" | "verify-ca" | "verify-full") => Ok(SslMode::Require),
            Some(_) => {
                Err("sslmode is none of disable, allow, prefer, require, verify-ca, verify-full".to_owned())
            }
        }
    }

    fn connector(&self) -> Result<TlsConnector, String> {
        let mut builder = TlsConnector::builder();
        let mode = self.mode.as_deref().unwrap_or("prefer");
        // With a certificate to compare with, `require` compares, as in libpq.
        let whole = mode == "verify-full";
        let chain = whole || mode == "verify-ca" || self.root.is_some();
        builder.danger_accept_invalid_certs(!chain).danger_accept_invalid_hostnames(!whole);
        if let Some(path) = self.root.as_deref().filter(|path| *path != "system") {
            builder.add_root_certificate(certificate(Path::new(path))?);
        }
        builder.build().map_err(|e| format!("TLS cannot be set up: {e}"))
    }
}

fn certificate(path: &Path) -> Result<Certificate, String> {
    let unusable = |cause: String| format!("sslrootcert: {} cannot be used: {cause}", path.display());
    let pem = std::fs::read(path).map_err(|e| unusable(e.to_string()))?;
    Certificate::from_pem(&pem).map_err(|e| unusable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn address(url: &str) -> Result<(Address, Place), Failure> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), url).expect("written");
        let settings = serde_json::json!({ "url": Secret::File(file.path().to_owned()) });
        Address::of(&serde_json::from_value(settings).expect("settings"), "job ledger", "ledger.postgres")
    }

    #[test]
    fn a_message_names_host_and_database_and_never_the_password() {
        let (_, place) =
            address("postgres://ada:hunter2@db.example:6432/jobs?sslmode=verify-full").expect("a URL");
        let shown = place.unusable("it is tired", "let it sleep").0;
        assert!(shown.contains("db.example:6432/jobs") && !shown.contains("hunter2"), "{shown}");
        for wrong in
            ["hunter2", "postgres://ada:hunter2@host:port/db", "postgres://ada:hunter2@h/db?x=hunter2"]
        {
            let message = address(wrong).map(|_| ()).expect_err("no URL").0;
            assert!(message.contains("ledger.postgres.url"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn tls_is_what_psql_would_use() {
        let mode = |url: &str| address(url).map(|(address, _)| address.config.get_ssl_mode());
        assert_eq!(mode("postgres://h/db").expect("a URL"), SslMode::Prefer);
        assert_eq!(mode("postgres://h/db?sslmode=disable").expect("a URL"), SslMode::Disable);
        for strict in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgres://u:p%40ss@h/db?application_name=x&sslmode={strict}");
            assert_eq!(mode(&url).expect("a URL"), SslMode::Require);
        }
        let message = mode("postgres://h/db?sslmode=sometimes").expect_err("no mode").0;
        assert!(message.contains("verify-full"), "{message}");
        let message = mode("postgres://h/db?sslrootcert=/no/such.pem").expect_err("no file").0;
        assert!(message.contains("/no/such.pem"), "{message}");
    }
}
