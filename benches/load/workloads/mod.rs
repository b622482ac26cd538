//! What is measured, one file each, in the order in which it is told.

mod fair;
mod hop;
mod late;
mod pass;
mod sick;
mod slow;
mod waiting;

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
    Workload {
        name: "slow",
        about: "a stage that takes 50 ms with 1,000 (and 100) in flight, on one partition and on six",
        run: |lab| Box::pin(slow::slow(lab)),
    },
    Workload {
        name: "sick",
        about: "500 records/s, 5 % fail once and 1 % for good: what the healthy ones notice",
        run: |lab| Box::pin(sick::sick(lab)),
    },
    Workload {
        name: "late",
        about: "10,000 records that all fail once, rung of 1 s: how late their second attempt is",
        run: |lab| Box::pin(late::late(lab)),
    },
    Workload {
        name: "waiting",
        about: "1,000,000 records wait on a rung: what that costs in memory, and what healthy ones notice",
        run: |lab| Box::pin(waiting::waiting(lab)),
    },
    Workload {
        name: "fair",
        about: "a tenant with 100 times the records of the others, all slow or all failing: what the others notice",
        run: |lab| Box::pin(fair::fair(lab)),
    },
];
