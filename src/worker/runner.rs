//! What a worker runs: one of the pipelines' stages, whose payloads are decoded and encoded around it, or a stage of
//! one's own, which has records as they are. The worker's way is the same for both.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::work::{Work, complete};
use crate::flow::{Code, Fault};
use crate::llm::Bill;
use crate::message::{Correlation, Headers, OutRecord, Topic, trail};
use crate::schema::Codec;
use crate::stage::own::{OutputKey, OwnStage, Record};
use crate::stage::{self, Job, Output, Stage};

/// See the module.
pub enum Runner {
    Values { read: Codec, write: Codec, stage: Arc<dyn Stage> },
    Bytes(OwnStage),
}

/// A record that can be run.
pub enum Opened {
    Value(Value),
    Bytes,
}

/// One output before it is encoded, as the ledger stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Made {
    Bytes(stage::own::Output),
    Value(Output),
}

impl Runner {
    /// Decodes the payload, and takes from it who the record belongs to, where the headers are silent.
    pub async fn open(&self, work: &mut Work) -> Result<Opened, Fault> {
        let Runner::Values { read, .. } = self else { return Ok(Opened::Bytes) };
        let payload = Box::pin(read.decode(&work.record)).await?;
        complete(&mut Arc::make_mut(&mut work.envelope).correlation, &payload);
        Ok(Opened::Value(payload))
    }

    /// The stage's own work, for which providers are paid.
    pub async fn run(&self, work: &Work, opened: Opened, bill: &Arc<Bill>) -> Result<Vec<Made>, Fault> {
        match (self, opened) {
            (Runner::Values { stage, .. }, Opened::Value(payload)) => {
                let envelope = &work.envelope;
                let origin_timestamp = envelope.trail.origin.timestamp.unwrap_or(0);
                let (correlation, bill) = (envelope.correlation.clone(), bill.clone());
                let job = Job { correlation, origin_timestamp, payload, bill };
                Ok(stage.run(&job).await?.into_iter().map(Made::Value).collect())
            }
            (Runner::Values { .. }, Opened::Bytes) => {
                Err(Fault::new(Code::RecordUndecodable, "the record was not decoded"))
            }
            (Runner::Bytes(stage), _) => {
                let record = Record::new(work.record.clone(), work.envelope.clone());
                let mut outputs = stage.run_boxed(record).await?.0;
                if outputs.len() > 1 {
                    for (output, n) in outputs.iter_mut().zip(0..) {
                        output.child = Some(n);
                    }
                }
                Ok(outputs.into_iter().map(Made::Bytes).collect())
            }
        }
    }

    /// The record that is written. `next` is the stage's output topic, if it has one.
    pub async fn write(&self, work: &Work, made: &Made, next: Option<&Topic>) -> Result<OutRecord, Fault> {
        match (made, self) {
            (Made::Bytes(output), _) => bytes(work, output, next),
            (Made::Value(output), Runner::Values { write, .. }) => {
                let value = Box::pin(write.encode(&output.payload)).await?.into();
                let key = work.output_key();
                record(work, output.child, next.cloned(), (key, Some(value), Headers::new()))
            }
            (Made::Value(_), Runner::Bytes(_)) => {
                Err(Fault::new(Code::RecordSchemaViolation, "the stored result is another stage's"))
            }
        }
    }
}

fn bytes(work: &Work, output: &stage::own::Output, next: Option<&Topic>) -> Result<OutRecord, Fault> {
    let key = match &output.key {
        OutputKey::OfRecord => work.record.key.clone(),
        OutputKey::Absent => None,
        OutputKey::Given(key) => Some(key.0.clone()),
    };
    let value = output.value.as_ref().map(|value| value.0.clone());
    let header = |(name, value): &(String, Option<stage::own::Bytes>)| {
        (name.clone(), value.as_ref().map(|value| value.0.clone()))
    };
    let headers = output.headers.iter().map(header).collect();
    let topic = output.topic.as_deref().map(Topic::from).or_else(|| next.cloned());
    record(work, output.child, topic, (key, value, headers))
}

fn record(
    work: &Work,
    child: Option<u32>,
    topic: Option<Topic>,
    (key, value, mut headers): (Option<Bytes>, Option<Bytes>, Headers),
) -> Result<OutRecord, Fault> {
    let nowhere = || {
        let message = "the stage made an output, and the service has no output topic";
        Fault::new(Code::OutputUnwritable, message)
    };
    let topic = topic.ok_or_else(nowhere)?;
    let correlation = onward(work);
    match child {
        None => trail::push_missing(&mut headers, &correlation),
        Some(n) => {
            let job = correlation.job.child(n);
            trail::push_missing(&mut headers, &Correlation { job, ..correlation.into_owned() });
        }
    }
    // The time of producing. An old document's own time would make Kafka delete its records early.
    Ok(OutRecord { topic, partition: None, key, value, headers, timestamp: None })
}

/// Who outputs belong to: as the record, and where there are traces, they hang on its attempt.
fn onward(work: &Work) -> Cow<'_, Correlation> {
    let correlation = &work.envelope.correlation;
    match &work.attempt {
        None => Cow::Borrowed(correlation),
        Some(attempt) => {
            let traceparent = attempt.onward().to_string();
            Cow::Owned(Correlation { traceparent, ..correlation.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_earlier_version_stored_is_read_as_before_and_bytes_come_back_as_they_were() {
        let before = br#"[{"child":2,"payload":{"id":"a"}},{"payload":[1]}]"#;
        let read: Vec<Made> = serde_json::from_slice(before).unwrap();
        let payload = json!({ "id": "a" });
        assert_eq!(read[0], Made::Value(Output { child: Some(2), payload }));

        let raw = stage::own::Output::new(vec![0, 255]).key("k").header("h", [1]).to("elsewhere");
        for output in [raw, stage::own::Output::tombstone().without_key()] {
            let stored = serde_json::to_vec(&[Made::Bytes(output.clone())]).unwrap();
            assert_eq!(serde_json::from_slice::<Vec<Made>>(&stored).unwrap(), [Made::Bytes(output)]);
        }
    }
}
