//! What all workloads need: the Kafka, names nobody else has, and how much is to be done.

use std::sync::atomic::{AtomicU32, Ordering};

use super::kafka;
use super::ours::Ours;
use super::side::{Order, Program};

pub struct Lab {
    pub kafka: String,
    pub quick: bool,
    pub repeat: usize,
    records: Option<u64>,
    prefix: String,
    names: AtomicU32,
}

impl Lab {
    pub fn new(kafka: String, quick: bool, repeat: usize, records: Option<u64>) -> Self {
        let prefix = format!("load-{}", uuid::Uuid::now_v7().simple());
        Self {
            kafka,
            quick,
            repeat: if quick { 1 } else { repeat },
            records,
            prefix,
            names: AtomicU32::new(0),
        }
    }

    /// A name that no other topic, group or pipeline has.
    pub fn name(&self, of: &str) -> String {
        format!("{}-{}-{of}", self.prefix, self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// How many records: what was asked for, or so many.
    pub fn records(&self, full: u64, quick: u64) -> u64 {
        self.records.unwrap_or(self.size(full, quick))
    }

    pub fn size(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }

    /// A topic with six partitions, or so many.
    pub async fn topic(&self, of: &str, partitions: i32, stamped: bool) -> anyhow::Result<String> {
        let name = self.name(of);
        kafka::create(&self.kafka, &name, partitions, stamped).await?;
        Ok(name)
    }

    /// An order for a side of ours that goes on until it is told to end, with topics of its own.
    pub async fn ours(&self, of: &str, partitions: i32, settings: Ours) -> anyhow::Result<Order> {
        Ok(Order {
            kafka: self.kafka.clone(),
            name: self.name(of),
            input: self.topic("in", partitions, false).await?,
            output: self.topic("out", partitions, true).await?,
            expect: None,
            program: Program::Ours(settings),
        })
    }

    /// Gives the disk back.
    pub async fn clean(&self) -> anyhow::Result<()> {
        kafka::delete(&self.kafka, &self.prefix).await
    }
}
