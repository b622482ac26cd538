//! Writes down what is done with dead letters, before it is done.

use jiff::Timestamp;
use uuid::Uuid;

use crate::kafka::{ProduceError, Producer};
use crate::message::{Headers, OutRecord};
use crate::quarantine::{Act, Deed, LETTERS_MAX};

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
        Self { producer, topic, operation: Uuid::now_v7().to_string(), by, reason }
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

    /// The same on a group as a whole.
    pub async fn note_of_group(&self, fingerprint: &str, deed: &Deed) -> Result<(), ProduceError> {
        self.write(&[], Some(fingerprint), deed).await
    }

    async fn write(&self, letters: &[String], group: Option<&str>, deed: &Deed) -> Result<(), ProduceError> {
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
        // Plain data: it is always JSON.
        let value = serde_json::to_vec(&act).unwrap_or_default();
        let record = OutRecord {
            topic: self.topic.into(),
            partition: Some(0),
            key: None,
            value: Some(value.into()),
            headers: Headers::new(),
            timestamp: None,
        };
        self.producer.send(record).await.map(|_| ())
    }
}
