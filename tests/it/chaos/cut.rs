//! A network that fails between a worker and the cluster, while another worker's holds.

use super::cluster::Cluster;
use super::load::{CONCURRENCY, Load, Setting};
use super::proxy::Way;
use crate::rig::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_does_no_harm_neither_then_nor_when_it_is_back() {
    let Some(cluster) = Cluster::get().await else { return };
    let proxies = cluster.proxies().await;
    let addresses: Vec<_> = proxies.iter().map(|proxy| proxy.address.clone()).collect();
    let through = addresses.join(",");
    let setting = Setting { bootstrap: Some(through.clone()), ..Setting::new("cut") };
    let mut load = Load::new(&cluster, setting).await;
    let cut_off = load.rig.worker(&[]).await;
    load.rig.reconfigure(&through, &cluster.bootstrap);
    let other = load.rig.worker(&[]).await;
    let all = |way: Way| proxies.iter().for_each(|proxy| proxy.set(way));

    for way in [Way::Broken, Way::Silent] {
        load.send(120).await;
        load.until_progress().await;
        all(way);
        load.until_taken_over(60).await;
        eventually("it knows that it is cut off", async || {
            (cut_off.readiness().await["ready"] == false).then_some(())
        })
        .await;
        all(Way::Open);
        load.send(60).await;
        cut_off.ready().await;
    }

    load.redrive().await;
    // From one broker only: some of its partitions stand still, and the group does not know.
    let one = load.dice.below(proxies.len() as u64) as usize;
    load.send(120).await;
    load.until_progress().await;
    proxies[one].set(Way::Silent);
    // If its transactions are coordinated there it does nothing at all, and the other may have done its own already.
    for _ in 0..2 {
        load.send(30).await;
        load.until_progress().await;
    }
    proxies[one].set(Way::Open);
    load.end(vec![cut_off, other], 6 * CONCURRENCY).await;
}
