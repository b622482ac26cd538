//! A record in the hands of a worker, and what has been gained for it so far. Passed from task to task, so that
//! a later step never repeats an earlier one.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use super::runner::Made;
use crate::config::{FairBy, Ordering};
use crate::flow::Fault;
use crate::flow::engine::{Arrival, OrderKey, SlotId, Tenant};
use crate::flow::ladder::Past;
use crate::ledger::{End, Lease};
use crate::message::payload::Usage;
use crate::message::{Correlation, Envelope, OutRecord, Record, Spent, trail};
use crate::telemetry::traces::Attempt;

/// See the module.
#[derive(Clone, Debug)]
pub struct Work {
    pub record: Arc<Record>,
    /// Its headers taken apart. The correlation is completed from the payload once that is decoded.
    pub envelope: Arc<Envelope>,
    /// The right to finish the job, from the ledger.
    pub lease: Option<Lease>,
    /// What the stage made, once it has. Kept when the ledger cannot store it, so that it is not made again.
    pub outputs: Option<Arc<Vec<Made>>>,
    /// What attempts have taken of providers since it was read, as far as they said.
    pub spent: Option<Spent>,
    /// What stages before this one have taken, where the payload tells.
    pub told: Option<Spent>,
    /// The input partition whose records come through the record's partition.
    pub family: i32,
    /// The family's term in which it was read.
    pub term: i64,
    /// Whose it is, where the stage is fair.
    pub tenant: Tenant,
    /// Its key in the terms of the stage's order.
    pub order: Option<OrderKey>,
    /// The last attempt, where there are traces.
    pub attempt: Option<Box<Attempt>>,
    /// What goes to Kafka, and what the ledger is told afterwards.
    pub prepared: Option<Prepared>,
    /// Kafka has acknowledged where the record went; only the ledger does not know yet.
    pub produced: bool,
}

/// See [`Work::prepared`].
#[derive(Clone, Debug)]
pub struct Prepared {
    pub records: Arc<[OutRecord]>,
    pub end: End,
}

impl Work {
    /// Its order and whose it is follow from the last two. `own_topic` as in [`trail::open`]; then the family of
    /// partitions through which it came, and its term.
    pub fn new(
        record: Record,
        own_topic: bool,
        (family, term): (i32, i64),
        ordering: Ordering,
        fair_by: Option<&FairBy>,
    ) -> Self {
        let envelope = Arc::new(trail::open(&record, own_topic));
        Self {
            tenant: fair_by.map(|by| whose(&record, &envelope, by)).unwrap_or_default(),
            order: order(&record, ordering),
            record: Arc::new(record),
            envelope,
            lease: None,
            outputs: None,
            spent: None,
            told: None,
            family,
            term,
            attempt: None,
            prepared: None,
            produced: false,
        }
    }

    /// What the engine has to know of it.
    pub fn arrival(&self, slot: SlotId) -> Arrival {
        let Envelope { trail, correlation, .. } = &*self.envelope;
        Arrival {
            slot,
            partition: self.record.topic_partition(),
            offset: self.record.at.offset,
            size: self.record.size() + OVERHEAD,
            due: trail.due,
            past: Past {
                failures: trail.attempt,
                first_failure: trail.first_failure,
                seed: seed(correlation, trail.attempt),
            },
            tenant: self.tenant,
            order: self.order,
            origin: trail.origin.offset,
            discard: trail.discard.is_some(),
        }
    }

    /// The fault with what attempts at the record have cost since it was read. What the ledger remembers of one that condemned
    /// it stays.
    pub fn billed(&self, fault: &Fault) -> Fault {
        Fault { spent: self.spent.or(fault.spent), ..fault.clone() }
    }

    /// What is ready to be produced for it.
    pub fn records(&self) -> &[OutRecord] {
        self.prepared.as_ref().map(|prepared| &*prepared.records).unwrap_or_default()
    }

    /// Bytes of all that.
    pub fn prepared_bytes(&self) -> usize {
        self.records().iter().map(OutRecord::size).sum()
    }

    pub fn due(&self) -> Option<Timestamp> {
        self.envelope.trail.due
    }

    /// The key of what this record becomes: its document or question, so that all about it stays in order.
    pub fn output_key(&self) -> Option<Bytes> {
        let resource = self.envelope.correlation.resource.as_ref();
        resource.map(|id| id.clone().into_bytes().into()).or_else(|| self.record.key.clone())
    }
}

/// What a record in hand weighs beside its bytes: headers taken apart, span, places in queues.
const OVERHEAD: usize = 2048;

fn whose(record: &Record, envelope: &Envelope, by: &FairBy) -> Tenant {
    match by {
        FairBy::Tenant => envelope.correlation.tenant.as_deref().map(|name| tenant(name.as_bytes())),
        FairBy::Key => record.key.as_deref().map(tenant),
        FairBy::Header(name) => {
            let header = envelope.original.iter().filter(|(of, _)| of == name).last();
            header.and_then(|(_, value)| value).map(tenant)
        }
    }
    .unwrap_or_default()
}

/// Stands for a tenant of this name.
pub fn tenant(name: &[u8]) -> Tenant {
    Tenant(first_8_bytes(&blake3::hash(name)))
}

/// A record without a key has no order among those with keys, but has its place in its partition.
fn order(record: &Record, ordering: Ordering) -> Option<OrderKey> {
    match ordering {
        Ordering::None => None,
        Ordering::Key => record.key.as_deref().map(|key| OrderKey(first_8_bytes(&blake3::hash(key)))),
        Ordering::Partition => Some(OrderKey(0)),
    }
}

fn first_8_bytes(hash: &blake3::Hash) -> u64 {
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The same for the same job and attempt, so that a replay waits as long as the first time.
fn seed(correlation: &Correlation, attempt: u32) -> u64 {
    // FNV-1a. Every record has one, and few need it.
    let bytes = correlation.job.0.bytes().chain([0]).chain(attempt.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What the payload tells of what it has cost so far: a draft carries what the model took that wrote it.
pub fn told(payload: &Value) -> Option<Spent> {
    Spent::of(Usage::deserialize(payload.get("usage")?).ok()?)
}

/// Fills in tenant and resource where the headers name none: from the payload itself, or from the document or
/// question it is about.
pub fn complete(correlation: &mut Correlation, payload: &Value) {
    let subject = ["document", "question"].iter().find_map(|name| payload.get(name)).unwrap_or(payload);
    let text = |name: &str| {
        let text = subject.get(name)?.as_str()?;
        trail::is_id(text).then(|| text.to_owned())
    };
    if correlation.tenant.is_none() {
        correlation.tenant = text("tenant");
    }
    if correlation.resource.is_none() {
        correlation.resource = text("id");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Coordinates;

    fn work(headers: &[(&str, &str)]) -> Work {
        let at = Coordinates { topic: "documents".into(), partition: 2, offset: 7, timestamp: None };
        let headers =
            headers.iter().map(|(name, text)| ((*name).to_owned(), Some(text.as_bytes().to_vec()))).collect();
        Work::new(
            Record { at, key: Some(b"k".to_vec().into()), value: None, headers },
            false,
            (2, 1),
            Ordering::Key,
            None,
        )
    }

    #[test]
    fn tenant_and_resource_come_from_the_payload_where_the_headers_are_silent() {
        let mut silent = work(&[]).envelope.correlation.clone();
        complete(&mut silent, &json!({ "id": "handbook", "tenant": "acme" }));
        assert_eq!((silent.tenant.as_deref(), silent.resource.as_deref()), (Some("acme"), Some("handbook")));

        let mut later = work(&[]).envelope.correlation.clone();
        complete(&mut later, &json!({ "document": { "id": "handbook", "tenant": "acme" }, "part": 0 }));
        assert_eq!(later.resource.as_deref(), Some("handbook"));

        let mut said = work(&[("tenant-id", "t"), ("resource-id", "r")]).envelope.correlation.clone();
        complete(&mut said, &json!({ "id": "handbook", "tenant": "acme" }));
        assert_eq!((said.tenant.as_deref(), said.resource.as_deref()), (Some("t"), Some("r")));
    }

    #[test]
    fn an_id_that_cannot_stand_in_a_header_is_not_taken_from_the_payload() {
        let mut correlation = work(&[]).envelope.correlation.clone();
        complete(&mut correlation, &json!({ "id": "a\nb", "tenant": "x".repeat(10_000) }));
        assert_eq!((correlation.tenant, correlation.resource), (None, None));
    }

    #[test]
    fn a_draft_tells_what_it_took_and_what_an_attempt_took_is_more_than_what_the_ledger_knew() {
        let took = |input, output| Some(Spent { input, output, calls: 1 });
        assert_eq!(told(&json!({ "usage": { "prompt_tokens": 7, "completion_tokens": 2 } })), took(7, 2));
        for silent in
            [json!({}), json!([]), json!({ "usage": null }), json!({ "usage": {} }), json!({ "usage": 7 })]
        {
            assert_eq!(told(&silent), None, "{silent}");
        }
        let noted = Fault::new(crate::flow::Code::LlmMalformed, "nothing").with_spent(took(1, 0));
        let mut work = work(&[]);
        assert_eq!(work.billed(&noted).spent, took(1, 0), "of another process");
        work.spent = took(5, 0);
        assert_eq!(work.billed(&noted).spent, took(5, 0));
    }

    #[test]
    fn outputs_are_keyed_by_the_resource_and_else_as_the_record_was() {
        assert_eq!(work(&[("resource-id", "handbook")]).output_key(), Some(b"handbook".to_vec().into()));
        assert_eq!(work(&[]).output_key(), Some(b"k".to_vec().into()));
    }

    #[test]
    fn records_with_one_key_are_in_one_line_and_records_without_a_key_in_none() {
        let with = |key: Option<&[u8]>, ordering| {
            let at = Coordinates { topic: "documents".into(), partition: 2, offset: 7, timestamp: None };
            let key = key.map(Bytes::copy_from_slice);
            order(&Record { at, key, value: None, headers: Default::default() }, ordering)
        };
        assert_eq!(with(Some(b"a"), Ordering::Key), with(Some(b"a"), Ordering::Key));
        assert_ne!(with(Some(b"a"), Ordering::Key), with(Some(b"b"), Ordering::Key));
        assert_eq!(with(None, Ordering::Key), None);
        assert_eq!(with(Some(b"a"), Ordering::None), None);
        assert_eq!(with(None, Ordering::Partition), with(Some(b"a"), Ordering::Partition));
        assert!(with(None, Ordering::Partition).is_some());
    }

    #[test]
    fn whose_a_record_is_is_said_by_its_tenant_its_key_or_a_header_and_else_by_nobody() {
        let headers = [("tenant-id", "acme"), ("team", "red"), ("team", "blue")];
        let of = |headers: &[(&str, &str)], by: FairBy| {
            let at = Coordinates { topic: "documents".into(), partition: 2, offset: 7, timestamp: None };
            let headers =
                headers.iter().map(|(name, text)| ((*name).to_owned(), Some(text.as_bytes().to_vec())));
            let record =
                Record { at, key: Some(b"k".to_vec().into()), value: None, headers: headers.collect() };
            Work::new(record, false, (2, 1), Ordering::None, Some(&by)).tenant
        };
        assert_eq!(of(&headers, FairBy::Tenant), tenant(b"acme"));
        assert_eq!(of(&headers, FairBy::Key), tenant(b"k"));
        assert_eq!(of(&headers, FairBy::Header("team".into())), tenant(b"blue"));
        assert_eq!(of(&[], FairBy::Tenant), Tenant::default());
        assert_eq!(work(&headers).tenant, Tenant::default(), "nobody asks where all are alike");
    }

    #[test]
    fn a_replay_of_an_attempt_has_the_same_seed_and_the_next_attempt_another() {
        let correlation = work(&[]).envelope.correlation.clone();
        assert_eq!(seed(&correlation, 1), seed(&correlation, 1));
        assert_ne!(seed(&correlation, 1), seed(&correlation, 2));
    }
}
