//! The properties of a stage's consumer. Connects to nothing.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::Membership;
use crate::config::{Assignor, GroupProtocol, Kafka};
use crate::kafka::client;
use crate::kafka::problem::KafkaProblem;

/// Beyond the time that a transaction of a process that died may be open: elections, and a busy coordinator.
const START_ROOM: Duration = Duration::from_secs(90);
/// How often librdkafka looks for new partitions when nobody says otherwise.
const REFRESH: Duration = Duration::from_secs(300);
const REFRESH_KEY: &str = "topic.metadata.refresh.interval.ms";

/// How long the cluster may take to say where reading begins.
pub fn start_patience(kafka: &Kafka) -> Duration {
    kafka.transaction_timeout.0 + START_ROOM
}

/// How often new partitions are looked for. `None` for never.
pub fn refresh(config: &ClientConfig) -> Option<Duration> {
    let Some(given) = config.get(REFRESH_KEY) else { return Some(REFRESH) };
    given.parse().ok().map(Duration::from_millis)
}

/// All properties.
pub fn config(kafka: &Kafka, membership: &Membership<'_>) -> Result<ClientConfig, KafkaProblem> {
    let Membership { group, message_max, patience, instance, .. } = membership;
    let mut config = client::consumer(kafka, "run", group, *message_max)?;
    join_as(&mut config, kafka, group, *instance);
    for (names, value) in [
        // What is fetched ahead costs this much memory for every partition; the window is what really counts.
        (&["queued.max.messages.kbytes"][..], "512"),
        (&["queued.min.messages"], "4000"),
        // What one answer brings of a partition is held until it is used up, and unpacked it is a multiple of this. A
        // record that is larger is fetched all the same.
        (&["fetch.message.max.bytes", "max.partition.fetch.bytes"], "262144"),
        // When that much was there, a partition is not fetched for this long. The default of a second would be its limit.
        (&["fetch.queue.backoff.ms"], "10"),
        // One request at a time goes to a broker. One that found only the empty rungs ready to be filled would keep the
        // input waiting for half a second.
        (&["fetch.wait.max.ms"], "50"),
        (&["statistics.interval.ms"], "5000"),
    ] {
        client::default(&mut config, names, value);
    }
    if config.get("max.poll.interval.ms").is_none() {
        // A rebalance that waits for us, or for where to begin, must not look like a member that is gone.
        let longest = *patience + start_patience(kafka) + Duration::from_secs(60);
        config.set("max.poll.interval.ms", longest.max(Duration::from_secs(300)).as_millis().to_string());
    }
    Ok(config)
}

fn join_as(config: &mut ClientConfig, kafka: &Kafka, group: &str, instance: Option<&str>) {
    let membership = &kafka.membership;
    config.set("group.protocol", membership.protocol.as_str());
    match (membership.protocol, membership.assignor) {
        (GroupProtocol::Classic, assignor) => {
            let assignor = assignor.unwrap_or(Assignor::CooperativeSticky);
            config.set("partition.assignment.strategy", assignor.as_str());
        }
        (GroupProtocol::Consumer, Some(assignor)) => {
            config.set("group.remote.assignor", assignor.as_str());
        }
        (GroupProtocol::Consumer, None) => {}
    }
    if let Some(instance) = instance.filter(|_| membership.is_static) {
        config.set("group.instance.id", format!("{instance}.{group}"));
    }
}
