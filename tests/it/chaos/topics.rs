//! Topics that are deleted, and that grow, under load.

use lazaret::kafka::admin::Admin;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use super::cluster::Cluster;
use super::load::{Load, Setting};
use crate::rig::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_wait_until_their_topic_is_there_again() {
    let Some(cluster) = Cluster::get().await else { return };
    let mut load = Load::new(&cluster, Setting::new("dlq-gone")).await;
    // No dead letter yet: those would go with the topic.
    load.faults_off().await;
    load.bad_every = None;
    let worker = load.rig.worker(&[]).await;
    load.send(60).await;
    load.until_progress().await;

    let dlq = load.rig.topic("embed.dlq");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &cluster.bootstrap).create().expect("a client");
    admin.delete_topics(&[&dlq], &AdminOptions::new()).await.expect("deleted")[0].as_ref().expect("deleted");
    load.bad_every = Some(10);
    load.send(100).await;
    eventually("the stage says why it waits", async || {
        worker.readiness().await.to_string().contains("dlq.unwritable").then_some(())
    })
    .await;
    eventually("the topic is made again", async || load.rig.tell(&["topics", "apply"]).await.then_some(()))
        .await;
    load.end(vec![worker], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_grows_under_load_is_read_to_its_ends() {
    let Some(cluster) = Cluster::get().await else { return };
    let quick = "topic.metadata.refresh.interval.ms: '1000', session.timeout.ms: '4000', heartbeat.interval.ms: '500'";
    let setting = Setting { properties: quick, ..Setting::new("grow") };
    let mut load = Load::new(&cluster, setting).await;
    let mut workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    load.send(150).await;
    load.until_progress().await;

    // Somebody else owns the input, and does not ask.
    let admin = Admin::new(&load.rig.config.kafka, "test").expect("a client");
    admin.grow(&load.rig.topic("in"), 6).await.expect("more partitions");
    eventually("records go to the new partitions", async || {
        load.send(20).await;
        load.uses_partition(5).then_some(())
    })
    .await;
    load.until_progress().await;

    // The stage's own topics follow, and the workers are started anew, one after the other.
    load.rig.reconfigure("partitions: 3", "partitions: 6");
    assert!(load.rig.tell(&["topics", "apply", "--grow"]).await);
    for _ in 0..workers.len() {
        let mut old = workers.remove(0);
        assert!(old.terminate().await.success());
        workers.push(load.rig.start(&[]).await);
    }
    load.send(100).await;
    load.end(workers, 0).await;
}
