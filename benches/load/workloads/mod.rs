//! What is measured, one file each, in the order in which it is told.

mod hop;
mod pass;

use futures::future::BoxFuture;

use super::lab::Lab;
use super::row::Row;

pub struct Workload {
    pub name: &'static str,
    pub about: &'static str,
    run: for<'a> fn(&'a Lab) -> BoxFuture<'a, anyhow::Result<Vec<Row>>>,
}

impl Workload {
    pub async fn run(&self, lab: &Lab) -> anyhow::Result<Vec<Row>> {
        (self.run)(lab).await
    }
}

pub const ALL: &[Workload] = &[
    Workload {
        name: "pass-at-least",
        about: "pass-through of 512 B on 6 partitions, at least once, beside a bare loop",
        run: |lab| Box::pin(pass::at_least_once(lab)),
    },
    Workload {
        name: "pass-exactly",
        about: "the same, exactly once, beside a loop with a transaction every 100 ms",
        run: |lab| Box::pin(pass::exactly_once(lab)),
    },
    Workload {
        name: "hop",
        about: "how long a record takes through an idle stage, exactly once, at 10 records/s",
        run: |lab| Box::pin(hop::hop(lab)),
    },
];
