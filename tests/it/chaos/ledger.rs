//! A ledger that somebody else has locked.

use super::cluster::Cluster;
use super::load::{Load, Setting};
use crate::rig::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_ledger_stops_the_stage_and_nothing_else() {
    let Some(cluster) = Cluster::get().await else { return };
    let mut load = Load::new(&cluster, Setting::new("ledger")).await;
    let worker = load.rig.worker(&[]).await;
    load.send(200).await;
    load.until_progress().await;
    let held = rusqlite::Connection::open(&load.rig.config.ledger.path).expect("the ledger");
    eventually("the ledger can be locked", async || held.execute_batch("BEGIN IMMEDIATE").ok()).await;
    eventually("the stage says why it waits", async || {
        worker.readiness().await.to_string().contains("ledger.unavailable").then_some(())
    })
    .await;
    held.execute_batch("ROLLBACK").expect("the lock can be given back");
    load.until_progress().await;
    load.redrive().await;
    load.end(vec![worker], 0).await;
}
