//! A ledger in PostgreSQL that several workers share, while workers or the database go, stand still or have no room.

use std::process::Command;

use tempfile::TempDir;

use super::cluster::Cluster;
use super::load::{CONCURRENCY, Load, Setting};
use super::workers::kill_at_random;
use crate::postgres::server::Server;
use crate::rig::{Worker, eventually};

fn setting<'a>(name: &'a str, server: &Server) -> Setting<'a> {
    Setting { postgres: Some(server.url.clone()), ..Setting::new(name) }
}

async fn says_why(worker: &Worker) {
    eventually("the stage says why it waits", async || {
        worker.readiness().await.to_string().contains("ledger.unavailable").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_share_a_database_and_are_killed_lose_double_and_overtake_nothing() {
    let Some(cluster) = Cluster::get().await else { return };
    let Some(server) = Server::start().await else { return };
    kill_at_random(&cluster, setting("pg-kill", &server), 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_and_restarted_under_load_takes_nothing_with_it() {
    const BLOWS: usize = 4;
    let Some(cluster) = Cluster::get().await else { return };
    let Some(server) = Server::start().await else { return };
    let mut load = Load::new(&cluster, setting("pg-restart", &server)).await;
    let workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    for blow in 0..BLOWS {
        load.send(100).await;
        load.until_progress().await;
        if blow % 2 == 0 {
            server.kill().await;
            says_why(&workers[0]).await;
        }
        server.restart().await;
        load.until_progress().await;
        if blow == BLOWS / 2 {
            load.redrive().await;
        }
    }
    // Nobody died: only calls whose claim the database did not remember may have been made again.
    load.end(workers, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_answers_nobody_stops_the_stages_until_it_answers() {
    let Some(cluster) = Cluster::get().await else { return };
    let Some(server) = Server::start().await else { return };
    let mut load = Load::new(&cluster, setting("pg-pause", &server)).await;
    let workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    for _ in 0..2 {
        load.send(100).await;
        load.until_progress().await;
        server.pause().await;
        load.send(50).await;
        says_why(&workers[0]).await;
        says_why(&workers[1]).await;
        server.resume().await;
        load.until_progress().await;
    }
    load.end(workers, 4 * CONCURRENCY).await;
}

/// A file system with little room, for the tables of one database; gone when it is dropped.
struct Small(TempDir);

impl Small {
    fn mount(server: &Server) -> Small {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(path));
        run(Command::new("chown").arg("--reference").arg(server.data()).arg(path));
        run(Command::new("chmod").arg("700").arg(path));
        Small(folder)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().expect("it runs").success(), "{command:?}");
}

/// It needs root, as a file system that is full needs one to be mounted.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_stops_the_stages_until_it_has_some() {
    let Some(cluster) = Cluster::get().await else { return };
    let Some(server) = Server::start().await else { return };
    let small = Small::mount(&server);
    let db = server.connect().await;
    let sql = async |sql: &str| db.batch_execute(sql).await;
    sql(&format!("CREATE TABLESPACE small LOCATION '{}'", small.0.path().display()))
        .await
        .expect("a tablespace");
    sql("ALTER DATABASE postgres SET default_tablespace = 'small'").await.expect("changed");
    sql("SET default_tablespace = 'small'").await.expect("changed");
    let mut load = Load::new(&cluster, setting("pg-full", &server)).await;
    let workers = vec![load.rig.worker(&[]).await, load.rig.worker(&[]).await];
    load.send(100).await;
    load.until_progress().await;

    // Somebody else takes all the room there is, and takes it again when something becomes free.
    sql("CREATE TABLE filler (line text STORAGE PLAIN)").await.expect("a table");
    let fill = async |rows: u32| {
        let insert = format!("INSERT INTO filler SELECT repeat('x', 1800) FROM generate_series(1, {rows})");
        while sql(&insert).await.is_ok() {}
    };
    fill(1000).await;
    fill(10).await;
    load.send(300).await;
    eventually("the stage says that the disk is full", async || {
        fill(4).await;
        let said = workers[0].readiness().await.to_string();
        (said.contains("ledger.unavailable") && said.contains("free some space")).then_some(())
    })
    .await;
    sql("DROP TABLE filler").await.expect("there is room again");
    load.until_progress().await;
    load.end(workers, 0).await;
    drop(server);
    drop(small);
}
