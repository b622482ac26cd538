//! Records that are read by where they stand, and those that do not stand there.

use lazaret::flow::Code;
use lazaret::kafka::pick::Picker;
use lazaret::message::TopicPartition;

use crate::acts::scene;

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_stand_there_is_not_found_and_nobody_waits_for_it() {
    let Some((rig, _)) = scene("pick", &[(Code::ParseCorrupt, 8)]).await else { return };
    let topic = rig.topic("parse.dlq");
    let mut picker = Picker::new(&rig.config.kafka, "test", rig.topology.message_max());
    let at = |topic: &str, partition, offset| (TopicPartition::new(topic, partition), offset);
    let there = at(&topic, 0, 0);
    // As after a topic was made anew: it is shorter than it was, or has fewer partitions, or is not there.
    for beyond in
        [at(&topic, 0, 3_000), at(&topic, 0, 1_000_000), at(&topic, 17, 0), at(&rig.topic("none"), 0, 0)]
    {
        let found = picker.pick([beyond.clone()]).await.expect("asked");
        assert!(found.is_empty(), "{beyond:?}");
    }
    let found = picker.pick([there.clone(), at(&topic, 0, 3_000)]).await.expect("asked");
    assert_eq!(found.keys().collect::<Vec<_>>(), [&there], "the others do not hide what is there");
}
