//! Workers that are killed, and workers that are stopped so long that others take over what they believe to have.

use super::cluster::Cluster;
use super::load::{CONCURRENCY, Load, Setting, pause};

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_at_any_moment_lose_double_and_overtake_nothing() {
    const BLOWS: usize = 6;
    let Some(cluster) = Cluster::get().await else { return };
    let mut load = Load::new(&cluster, Setting::new("kill")).await;
    let mut workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    for blow in 0..BLOWS {
        load.send(80).await;
        if blow == BLOWS / 2 {
            load.redrive().await;
        }
        load.until_progress().await;
        // The moment is left to chance; the condition above only makes it fall into the work.
        tokio::time::sleep(pause(&mut load.dice)).await;
        let victim = load.dice.below(workers.len() as u64) as usize;
        workers.remove(victim).kill();
        workers.push(load.rig.start(&[]).await);
    }
    load.end(workers, BLOWS * CONCURRENCY).await;
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
        workers[blow % 2].signal("STOP");
        load.send(50).await;
        // The other one has everything as soon as Kafka has given the stopped one up.
        load.all_over().await;
        load.send(50).await;
        workers[blow % 2].signal("CONT");
        load.until_progress().await;
        if blow == 0 {
            load.redrive().await;
        }
    }
    load.end(workers, BLOWS * CONCURRENCY * 2).await;
}
