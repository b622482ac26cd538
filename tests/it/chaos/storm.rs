//! A group in which somebody comes or goes every second.

use std::time::Duration;

use super::cluster::Cluster;
use super::load::{CONCURRENCY, Load, Setting};

/// How often somebody comes and somebody goes.
const GUSTS: usize = 6;

async fn storm(setting: Setting<'_>) {
    let Some(cluster) = Cluster::get().await else { return };
    let mut load = Load::new(&cluster, setting).await;
    let mut workers = vec![load.rig.worker(&[]).await];
    let mut killed = 0;
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    for gust in 0..GUSTS {
        load.send(60).await;
        workers.push(load.rig.start(&[]).await);
        // The pace of the storm, and nothing that is waited for.
        pace.tick().await;
        let mut leaves = workers.remove(load.dice.below(workers.len() as u64) as usize);
        if load.dice.below(4) == 0 {
            leaves.kill();
            killed += 1;
        } else {
            assert!(leaves.terminate().await.success());
        }
        if gust == GUSTS / 2 {
            load.redrive().await;
        }
    }
    load.end(workers, killed * CONCURRENCY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_leave_nothing_undone_and_nothing_twice() {
    storm(Setting::new("storm")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_they_where_every_rebalance_stops_everybody() {
    let eager = Setting { kafka: "membership: { assignor: range },", ..Setting::new("eager") };
    storm(eager).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_they_where_the_broker_assigns() {
    let broker = Setting {
        kafka: "membership: { protocol: consumer },",
        properties: "",
        ..Setting::new("consumer-protocol")
    };
    storm(broker).await;
}
