//! Brokers that go, one after the other and together, and a cluster that has too few of them to write.

use lazaret::kafka::admin::Admin;

use super::cluster::Cluster;
use super::load::{CONCURRENCY, Load, Setting};
use crate::rig::{Worker, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_go_one_after_the_other_take_nothing_with_them() {
    let Some(cluster) = Cluster::get().await else { return };
    let mut load = Load::new(&cluster, Setting::new("brokers")).await;
    let workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    for n in Cluster::BROKERS {
        load.send(100).await;
        load.until_progress().await;
        // Leaders of partitions, of the group and of transactions go with it, sooner or later.
        match n {
            1 => cluster.kill(n),
            2 => cluster.pause(n),
            _ => {}
        }
        load.send(50).await;
        load.until_progress().await;
        match n {
            2 => cluster.resume(n),
            _ => cluster.restart(n).await,
        }
        load.until_progress().await;
        cluster.in_sync().await;
    }
    // Nobody died; a worker that could not be heard for long was shut out of its group at most.
    load.end(workers, Cluster::BROKERS.len() * CONCURRENCY * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_waits_for_as_many_replicas_as_it_takes() {
    let Some(cluster) = Cluster::get().await else { return };
    let mut load = Load::new(&cluster, Setting::new("replicas")).await;
    let worker = load.rig.worker(&[]).await;
    load.send(60).await;
    load.until_progress().await;

    // Too few replicas for what the stage writes, while the rest of the cluster works.
    in_sync_at_least(&load, "3").await;
    cluster.kill(2);
    load.send(60).await;
    not_ready(&worker).await;
    in_sync_at_least(&load, "2").await;
    load.until_progress().await;

    // And now nearly nothing: no majority, no coordinator.
    cluster.kill(3);
    eventually("the worker is not ready", async || {
        (worker.readiness().await["ready"] == false).then_some(())
    })
    .await;
    cluster.restart(2).await;
    cluster.restart(3).await;
    load.send(40).await;
    load.end(vec![worker], CONCURRENCY * 2).await;
}

async fn not_ready(worker: &Worker) {
    eventually("the worker says that it waits", async || {
        (worker.readiness().await["ready"] == false).then_some(())
    })
    .await;
}

async fn in_sync_at_least(load: &Load, replicas: &str) {
    let admin = Admin::new(&load.rig.config.kafka, "test").expect("a client");
    for topic in ["out", "embed.dlq", "embed.retry.200ms", "embed.retry.1s", "embed.park"] {
        let topic = load.rig.topic(topic);
        eventually("the topic is changed", async || {
            admin.alter(&topic, &[("min.insync.replicas", replicas)]).await.ok()
        })
        .await;
    }
}
