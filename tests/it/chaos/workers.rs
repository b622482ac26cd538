//! Workers that are killed, and workers that are stopped so long that others take over what they believe to have.

use std::time::Duration;

use super::cluster::Cluster;
use super::load::{CONCURRENCY, Load, Setting, pause};
use crate::rig::{Worker, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_at_any_moment_lose_double_and_overtake_nothing() {
    let Some(cluster) = Cluster::get().await else { return };
    kill_at_random(&cluster, Setting::new("kill"), 6).await;
}

/// Two workers under load, one of which is killed and replaced with every blow.
pub async fn kill_at_random(cluster: &Cluster, setting: Setting<'_>, blows: usize) {
    let mut load = Load::new(cluster, setting).await;
    let mut workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    for blow in 0..blows {
        load.send(80).await;
        if blow == blows / 2 {
            load.redrive().await;
        }
        load.until_progress().await;
        // The moment is left to chance; the condition above only makes it fall into the work.
        tokio::time::sleep(pause(&mut load.dice)).await;
        let victim = load.dice.below(workers.len() as u64) as usize;
        workers.remove(victim).kill();
        workers.push(load.rig.start(&[]).await);
    }
    load.end(workers, blows * CONCURRENCY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_for_longer_than_its_session_does_no_harm_when_it_goes_on() {
    const BLOWS: usize = 2;
    let Some(cluster) = Cluster::get().await else { return };
    let mut load = Load::new(&cluster, Setting::new("zombie")).await;
    let workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    for blow in 0..BLOWS {
        load.send(150).await;
        load.until_progress().await;
        let zombie = &workers[blow % 2];
        freeze(&load, zombie).await;
        load.until_taken_over(60).await;
        zombie.signal("CONT");
        load.until_progress().await;
        if blow == 0 {
            load.redrive().await;
        }
    }
    load.end(workers, BLOWS * CONCURRENCY * 2).await;
}

/// Stops the process, and not in the middle of a write to the ledger: a file that a frozen process has locked is locked
/// for everybody, which no taking over can help.
async fn freeze(load: &Load, worker: &Worker) {
    let ledger = rusqlite::Connection::open(&load.rig.config.ledger.path).expect("the ledger");
    ledger.busy_timeout(Duration::from_millis(200)).expect("a time");
    eventually("it is stopped while the ledger is free", async || {
        worker.signal("STOP");
        eventually("all its threads stand still", async || stands_still(worker.id()).then_some(())).await;
        if ledger.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            return Some(());
        }
        worker.signal("CONT");
        None
    })
    .await;
}

/// As the kernel has it: the letter behind the command's name is the state.
fn stands_still(process: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    tasks.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}
