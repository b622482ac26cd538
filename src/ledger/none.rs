//! No ledger: every claim is granted, nothing is remembered, no I/O.
//!
//! What holds without one, and what does not: with `delivery: exactly_once` output, rung record or dead letter and
//! offset are one Kafka transaction, so that each record is written once. But a record whose attempt was cut short, by
//! a crash or a revoked partition, is run again, and what it paid for is paid again; two records with one job id are
//! two jobs; an order cannot be kept, since nobody can tell after a restart what waits on a rung.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Begin, Claim, End, Event, Lease, Ledger, LedgerError, Outstanding, Recovery, StateCount};
use crate::flow::Fault;
use crate::message::TopicPartition;

/// See the module.
#[derive(Debug, Default)]
pub struct NoLedger {
    tokens: AtomicI64,
}

#[async_trait]
impl Ledger for NoLedger {
    async fn begin(&self, claim: Claim) -> Result<Begin, LedgerError> {
        // Nobody can take it over.
        let until = Timestamp::MAX;
        Ok(Begin::Fresh(Lease { until, ..Lease::granted(&claim, self.tokens.fetch_add(1, Relaxed)) }))
    }

    fn remembers(&self) -> bool {
        false
    }

    async fn store(&self, _: &Lease, _: Vec<u8>, _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn withhold(&self, _: &Lease, _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn condemn(&self, _: &Lease, _: &Fault, _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn settle(&self, _: &Lease, _: End, _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn own(&self, _: &str, _: &str, _: Vec<TopicPartition>) -> Result<i64, LedgerError> {
        Ok(0)
    }

    async fn recover(&self, _: Recovery) -> Result<Vec<Outstanding>, LedgerError> {
        Ok(Vec::new())
    }

    async fn history(&self, _: &str) -> Result<Vec<Event>, LedgerError> {
        Ok(Vec::new())
    }

    async fn counts(&self) -> Result<Vec<StateCount>, LedgerError> {
        Ok(Vec::new())
    }
}
