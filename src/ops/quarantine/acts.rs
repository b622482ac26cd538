//! Writes down what is done with dead letters, before it is done.

use jiff::Timestamp;
use uuid::Uuid;

use crate::kafka::{ProduceError, Producer};
use crate::message::{Headers, OutRecord};
use crate::quarantine::{Act, Deed, LETTERS_MAX};
use crate::telemetry::metrics;

/// The acts of one operation, in somebody's name.
pub struct Acts<'a> {
    producer: &'a Producer,
    topic: &'a str,
    operation: String,
    by: &'a str,
    reason: Option<&'a str>,
}

impl<'a> Acts<'a> {
    /// `topic` is that of operations; `by` a person, or `rule:<name>`.
    pub fn new(producer: &'a Producer, topic: &'a str, by: &'a str, reason: Option<&'a str>) -> Self {
        Self::of(Uuid::now_v7().to_string(), producer, topic, by, reason)
    }

    /// More acts of an operation that there is.
    pub fn of(
        operation: String,
        producer: &'a Producer,
        topic: &'a str,
        by: &'a str,
        reason: Option<&'a str>,
    ) -> Self {
        Self { producer, topic, operation, by, reason }
    }

    /// What the audit finds them by.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Returns when all replicas have it. No letters: nothing.
    pub async fn note(&self, letters: &[String], deed: &Deed) -> Result<(), ProduceError> {
        for letters in letters.chunks(LETTERS_MAX) {
            self.write(letters, None, deed).await?;
        }
        Ok(())
    }

    /// The same of one letter; the id of the act.
    pub async fn note_one(&self, letter: &str, deed: &Deed) -> Result<String, ProduceError> {
        self.write(&[letter.to_owned()], None, deed).await
    }

    /// Says something of the operation as a whole; the id of the act.
    pub async fn say(&self, deed: &Deed) -> Result<String, ProduceError> {
        self.write(&[], None, deed).await
    }

    /// The same on a group as a whole.
    pub async fn note_of_group(&self, fingerprint: &str, deed: &Deed) -> Result<(), ProduceError> {
        self.write(&[], Some(fingerprint), deed).await.map(|_| ())
    }

    async fn write(
        &self,
        letters: &[String],
        group: Option<&str>,
        deed: &Deed,
    ) -> Result<String, ProduceError> {
        let act = Act {
            id: Uuid::now_v7().to_string(),
            operation: self.operation.clone(),
            at: Timestamp::now(),
            by: self.by.to_owned(),
            reason: self.reason.map(str::to_owned),
            letters: letters.to_vec(),
            group: group.map(str::to_owned),
            deed: deed.clone(),
        };
        let written = self.producer.send(act_record(self.topic, &act)).await;
        written.inspect_err(|_| metrics::audit_write_failure())?;
        Ok(act.id)
    }
}

/// An act as it stands on the topic of operations.
pub fn act_record(topic: &str, act: &Act) -> OutRecord {
    // Plain data: it is always JSON.
    let value = serde_json::to_vec(act).unwrap_or_default();
    OutRecord {
        topic: topic.into(),
        partition: Some(0),
        key: None,
        value: Some(value.into()),
        headers: Headers::new(),
        timestamp: None,
    }
}
