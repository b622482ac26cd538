//! The schema registry (Confluent API), through `schema_registry_converter`. Says of every failure whose fault it is.
//! It never tries again by itself: that is for the stage, which pauses.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_referenced_schema, get_schema_by_id, get_schema_by_subject_and_version,
    is_compatible_schema, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RegisteredReference, RegisteredSchema, SchemaType, SrCall, SuppliedSchema,
};
use secrecy::ExposeSecret;
use serde_json::{Value as Json, json};
use url::Url;

use crate::config::{self, Config, Secret, SecretError};
use crate::flow::fault::one_line;
use crate::flow::{Code, Fault};

use super::classify::{Failure, classify, status};
use super::shape::Shape;
use super::wire::{self, WriterSchema};

/// Most memory one list or text of an Avro value may claim before it is read.
const ALLOCATION_MAX: usize = 256 << 20;
/// Most schemas that one schema may refer to, directly and through others.
const REFERENCES_MAX: usize = 64;
/// Longest text of a cause in a message. Avro's errors quote the value.
pub(super) const CAUSE_MAX: usize = 300;

/// The settings do not make a registry client.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("registry.url '{url}' is not a URL; write it like http://host:8081")]
    Url { url: String, source: url::ParseError },
    #[error("registry.url '{0}' must begin with http:// or https://")]
    Scheme(String),
    #[error("registry.password: {0}")]
    Password(#[from] SecretError),
    #[error("the registry client could not be made: {0}")]
    Client(#[from] SRCError),
}

/// A client. Shared by all codecs of the process.
#[derive(Debug)]
pub struct Registry {
    /// For messages: without user name and password.
    url: String,
    settings: SrSettings,
    /// The schemas seen so far, by id. An id never changes its meaning, so they stay; a failure never gets in here.
    ///
    /// This is why `AvroDecoder` is not used: it keeps what it takes for a permanent error, a registry's 500
    /// among them, and would answer every later record of that schema with it.
    writers: Mutex<HashMap<u32, Arc<WriterSchema>>>,
}

impl Registry {
    /// The registry of the configuration, if it names one. Reads the password, makes no connection.
    pub fn of(config: &Config) -> Result<Option<Arc<Self>>, SettingsError> {
        let Some(settings) = &config.registry else { return Ok(None) };
        let password = settings.password.as_ref().map(Secret::read).transpose()?;
        let password = password.as_ref().map(ExposeSecret::expose_secret);
        Self::new(settings, password).map(|registry| Some(Arc::new(registry)))
    }

    /// `password` is the secret that `settings.password` points to. Makes no connection.
    pub fn new(settings: &config::Registry, password: Option<&str>) -> Result<Self, SettingsError> {
        let url = shown(&settings.url)?;
        let mut builder = SrSettings::new_builder(settings.url.trim_end_matches('/').to_owned());
        if let Some(username) = &settings.username {
            builder.set_basic_authorization(username, password);
        }
        let settings = builder.set_timeout(settings.timeout.0).build()?;
        apache_avro::util::max_allocation_bytes(ALLOCATION_MAX);
        Ok(Self { url, settings, writers: Mutex::default() })
    }

    /// The address, fit to be shown.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads a value in the wire format with the schema it was written with.
    pub async fn read(&self, value: &[u8]) -> Result<Avro, Fault> {
        let (id, datum) = wire::split(value)?;
        self.writer(id).await?.read(datum).map_err(|e| undecodable(id, &e.to_string()))
    }

    /// Writes a value in the wire format with the schema of this id.
    pub async fn write(&self, id: u32, value: &Json) -> Result<Vec<u8>, Fault> {
        let datum = self.writer(id).await?.write(value).map_err(|e| {
            let cause = one_line(&e.to_string(), CAUSE_MAX);
            let message = format!("the value does not fit schema {id} of the registry: {cause}");
            Fault::new(Code::RecordSchemaViolation, message)
        })?;
        Ok(wire::join(id, &datum))
    }

    async fn writer(&self, id: u32) -> Result<Arc<WriterSchema>, Fault> {
        let known = self.writers.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(writer) = known {
            return Ok(writer);
        }
        let writer = Arc::new(self.fetch(id).await?);
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, writer.clone());
        Ok(writer)
    }

    async fn fetch(&self, id: u32) -> Result<WriterSchema, Fault> {
        let registered =
            get_schema_by_id(id, &self.settings).await.map_err(|error| match classify(&error) {
                Failure::Unknown => Fault::new(
                    Code::RecordSchemaUnknown,
                    format!("the registry at {} has no schema with the id {id}", self.url),
                ),
                _ => self.fault(&format!("schema {id}"), &error),
            })?;
        if registered.schema_type != SchemaType::Avro {
            return Err(undecodable(id, &format!("it is a {:?} schema", registered.schema_type)));
        }
        let referenced = self.referenced(id, registered.references).await?;
        WriterSchema::parse(&registered.schema, &referenced).map_err(|e| undecodable(id, &e.to_string()))
    }

    /// The schemas that schema `id` refers to, directly and through others. Each stands behind those that it refers
    /// to itself, as the parser wants them.
    async fn referenced(&self, id: u32, references: Vec<RegisteredReference>) -> Result<Vec<String>, Fault> {
        enum Step {
            Fetch(RegisteredReference),
            Emit(String),
        }
        let mut seen = HashSet::new();
        let mut texts = Vec::new();
        let mut steps: Vec<Step> = references.into_iter().map(Step::Fetch).collect();
        while let Some(step) = steps.pop() {
            let reference = match step {
                Step::Emit(text) => {
                    texts.push(text);
                    continue;
                }
                Step::Fetch(reference) => reference,
            };
            if !seen.insert((reference.subject.clone(), reference.version)) {
                continue;
            }
            if seen.len() > REFERENCES_MAX {
                return Err(undecodable(id, &format!("it refers to more than {REFERENCES_MAX} others")));
            }
            let found = get_referenced_schema(&self.settings, &reference).await;
            let found = found.map_err(|error| self.fault(&format!("a reference of schema {id}"), &error))?;
            steps.push(Step::Emit(found.schema));
            steps.extend(found.references.into_iter().map(Step::Fetch));
        }
        Ok(texts)
    }

    /// The id of this schema in the subject, or `None` when it is not registered there.
    pub async fn id_of(&self, subject: &str, shape: Shape) -> Result<Option<u32>, Fault> {
        let body = json!({ "schemaType": "AVRO", "schema": shape.text() }).to_string();
        let found = perform_sr_call(&self.settings, SrCall::PostForVersion(subject, &body)).await;
        if let Some(id) = self.unless_unknown(subject, found)?.and_then(|schema| schema.id) {
            return Ok(Some(id));
        }
        // Some registries compare texts. Another client may have registered the schema in other white space.
        let latest = self.latest_schema(subject).await?;
        Ok(latest.filter(|latest| writes_the_same(&latest.schema, shape)).map(|latest| latest.id))
    }

    /// The number of the subject's latest version, or `None` when there is no such subject.
    pub async fn latest(&self, subject: &str) -> Result<Option<u32>, Fault> {
        Ok(self.latest_schema(subject).await?.and_then(|schema| schema.version))
    }

    async fn latest_schema(&self, subject: &str) -> Result<Option<RegisteredSchema>, Fault> {
        let found = get_schema_by_subject_and_version(&self.settings, subject, None).await;
        self.unless_unknown(subject, found)
    }

    /// Whether the schema may become the subject's next version, by the subject's compatibility level.
    pub async fn accepts(&self, subject: &str, shape: Shape) -> Result<bool, Fault> {
        let answer = is_compatible_schema(&self.settings, subject.to_owned(), supplied(shape)).await;
        answer.map_err(|error| self.fault(&format!("subject '{subject}'"), &error))
    }

    /// Registers the schema and gives its id; the same id when it was registered before.
    pub async fn register(&self, subject: &str, shape: Shape) -> Result<u32, Fault> {
        let answer = post_schema(&self.settings, subject.to_owned(), supplied(shape)).await;
        answer
            .map(|schema| schema.id)
            .map_err(|error| self.fault(&format!("registering '{subject}'"), &error))
    }

    fn unless_unknown<T>(&self, subject: &str, answer: Result<T, SRCError>) -> Result<Option<T>, Fault> {
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(error) if classify(&error) == Failure::Unknown => Ok(None),
            Err(error) => Err(self.fault(&format!("subject '{subject}'"), &error)),
        }
    }

    /// A systemic fault: what was asked, of whom, and what came back.
    fn fault(&self, asked: &str, error: &SRCError) -> Fault {
        let status = status(error);
        let (code, what) = match classify(error) {
            Failure::Unauthorized => (Code::RegistryUnauthorized, "refuses the credentials"),
            _ if status == Some(404) => (
                Code::RegistryUnavailable,
                "does not speak the registry API at this address, see registry.url",
            ),
            _ => (Code::RegistryUnavailable, "could not answer"),
        };
        let message = format!("the schema registry at {} {what} ({asked}): {}", self.url, words(error));
        let fault = Fault::new(code, message);
        match status {
            Some(status) => fault.with_status(status),
            None => fault,
        }
    }
}

fn undecodable(id: u32, cause: &str) -> Fault {
    let cause = one_line(cause, CAUSE_MAX);
    Fault::new(
        Code::RecordUndecodable,
        format!("the value cannot be read with schema {id} of the registry: {cause}"),
    )
}

fn supplied(shape: Shape) -> SuppliedSchema {
    SuppliedSchema::new(Some(shape.name().to_owned()), SchemaType::Avro, shape.text().to_owned())
}

/// True when data written with either schema are the same bytes: Avro's Parsing Canonical Form is the same.
fn writes_the_same(text: &str, shape: Shape) -> bool {
    match (Schema::parse_str(text), shape.schema()) {
        (Ok(theirs), Ok(ours)) => theirs.canonical_form() == ours.canonical_form(),
        _ => false,
    }
}

/// The client's error with its cause and everything below, in one bounded line.
fn words(error: &SRCError) -> String {
    let mut words = error.error.clone();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        words.push_str(": ");
        words.push_str(&one_line(&cause.to_string(), CAUSE_MAX));
        next = cause.source();
    }
    one_line(&words, 2 * CAUSE_MAX)
}

/// The URL without user name and password, after a check that it is one.
fn shown(text: &str) -> Result<String, SettingsError> {
    let mut url = Url::parse(text).map_err(|source| SettingsError::Url { url: text.to_owned(), source })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::Scheme(text.to_owned()));
    }
    // Fails only for URLs without a host, which http never is.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests;
