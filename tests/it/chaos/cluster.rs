//! The three brokers: which of them runs, and whether the others have caught up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::MutexGuard;

use super::proxy::Proxy;
use crate::part::script;
use crate::rig::eventually;

/// Whoever holds it may break brokers.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// See the module. What is broken when it is dropped is mended.
pub struct Cluster {
    pub bootstrap: String,
    run: PathBuf,
    broken: Mutex<BTreeSet<usize>>,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    pub const BROKERS: [usize; 3] = [1, 2, 3];

    /// `None` where no cluster was started for these tests.
    pub async fn get() -> Option<Cluster> {
        let bootstrap = std::env::var("LAZARET_TEST_CLUSTER").ok()?;
        let run =
            std::env::var("LAZARET_TEST_CLUSTER_RUN").expect("LAZARET_TEST_CLUSTER_RUN names its folder");
        let turn = TURN.lock().await;
        let cluster =
            Cluster { bootstrap, run: PathBuf::from(run), broken: Mutex::new(BTreeSet::new()), _turn: turn };
        cluster.in_sync().await;
        Some(cluster)
    }

    /// A proxy in front of each broker, in the order of their numbers.
    pub async fn proxies(&self) -> Vec<Proxy> {
        let pairs = std::env::var("LAZARET_TEST_PROXIES").expect("the cluster was started `proxied`");
        let mut proxies = Vec::new();
        for pair in pairs.split(',') {
            let (listen, behind) = pair.split_once('=').expect("proxy=broker");
            proxies.push(Proxy::start(listen, behind).await);
        }
        proxies
    }

    pub fn kill(&self, n: usize) {
        self.broken().insert(n);
        parts(&self.run, "kill", n);
    }

    pub fn pause(&self, n: usize) {
        self.broken().insert(n);
        parts(&self.run, "pause", n);
    }

    pub fn resume(&self, n: usize) {
        parts(&self.run, "resume", n);
        self.broken().remove(&n);
    }

    /// In good order, when it is running.
    pub async fn restart(&self, n: usize) {
        let run = self.run.clone();
        tokio::task::spawn_blocking(move || parts(&run, "restart", n)).await.expect("the broker starts");
        self.broken().remove(&n);
    }

    /// Waits until every partition has all its replicas.
    pub async fn in_sync(&self) {
        eventually("all replicas are in sync", async || {
            let bootstrap = self.bootstrap.clone();
            tokio::task::spawn_blocking(move || is_in_sync(&bootstrap)).await.ok()?.then_some(())
        })
        .await;
    }

    fn broken(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for n in std::mem::take(&mut *self.broken()) {
            parts(&self.run, "restart", n);
        }
    }
}

fn parts(run: &Path, verb: &str, n: usize) {
    let mut command = script();
    command.args(["kafka", verb, &n.to_string()]).env("LAZARET_RUN", run).stdout(Stdio::null());
    let ended = command.status().expect("the script runs");
    if !std::thread::panicking() {
        assert!(ended.success(), "kafka {verb} {n}: {ended}");
    }
}

fn is_in_sync(bootstrap: &str) -> bool {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "in-sync");
    let Ok(client) = config.create::<BaseConsumer>() else { return false };
    let Ok(metadata) = client.fetch_metadata(None, Duration::from_secs(5)) else { return false };
    let whole = |p: &rdkafka::metadata::MetadataPartition| {
        p.leader() >= 0 && !p.replicas().is_empty() && p.isr().len() == p.replicas().len()
    };
    metadata.brokers().len() == Cluster::BROKERS.len()
        && metadata.topics().iter().all(|topic| topic.partitions().iter().all(whole))
}
