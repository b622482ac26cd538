//! What all workloads need: the Kafka, names nobody else has, and how much is to be done.

use std::sync::atomic::{AtomicU32, Ordering};

use super::kafka;
use super::ours::Ours;
use super::side::{Order, Program};

pub struct Lab {
    pub kafka: String,
    pub quick: bool,
    pub repeat: usize,
    pub records: Option<u64>,
    /// Of librdkafka, for sides of ours.
    pub properties: Vec<(String, String)>,
    /// Another window for sides of ours.
    pub window: Option<usize>,
    /// Whether sides of ours deliver at least once where a workload leaves it open.
    pub at_least_once: bool,
    prefix: String,
    names: AtomicU32,
}

impl Lab {
    pub fn new(kafka: String) -> Self {
        let prefix = format!("load-{}", uuid::Uuid::now_v7().simple());
        let names = AtomicU32::new(0);
        let (properties, window) = (Vec::new(), None);
        Self {
            kafka,
            quick: false,
            repeat: 1,
            records: None,
            properties,
            window,
            at_least_once: false,
            prefix,
            names,
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

    /// A side of ours, with what was asked for besides.
    pub fn program(&self, settings: Ours) -> Program {
        let at_least_once = self.at_least_once || settings.at_least_once;
        self.as_said(Ours { at_least_once, ..settings })
    }

    /// The same where the workload says how it delivers.
    pub fn as_said(&self, settings: Ours) -> Program {
        let window = self.window.or(settings.window);
        Program::Ours(Ours { properties: self.properties.clone(), window, ..settings })
    }

    /// An order for a side of ours that goes on until it is told to end, with topics of its own.
    pub async fn ours(&self, of: &str, partitions: i32, settings: Ours) -> anyhow::Result<Order> {
        Ok(Order {
            kafka: self.kafka.clone(),
            name: self.name(of),
            input: self.topic("in", partitions, false).await?,
            output: self.topic("out", partitions, true).await?,
            expect: None,
            program: self.program(settings),
        })
    }

    /// Gives the disk back.
    pub async fn clean(&self) -> anyhow::Result<()> {
        kafka::delete(&self.kafka, &self.prefix).await
    }
}
