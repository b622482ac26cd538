//! Who follows whom: every partition of a satellite (a rung, the redrive topic) belongs to one partition of the
//! input, and goes where that goes, so that all records of a key meet in one process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use super::group::Group;
use crate::message::TopicPartition;

/// The topics of a stage's consumer.
#[derive(Clone, Debug)]
pub struct Topics {
    /// The group shares the partitions of this one.
    pub input: String,
    /// The partitions of these follow.
    pub satellites: Vec<String>,
}

/// Partitions of each topic. Numbers only grow: a broker that is behind must not make us give anything up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout(BTreeMap<String, i32>);

impl Layout {
    /// Asks the cluster. A topic that does not exist has no partitions.
    pub fn fetch(client: &BaseConsumer<Group>, topics: &Topics, timeout: Duration) -> Result<Self, String> {
        let mut layout = Self::default();
        for topic in std::iter::once(&topics.input).chain(&topics.satellites) {
            let failed = |cause: String| format!("cannot ask for the partitions of topic '{topic}': {cause}");
            let metadata = client.fetch_metadata(Some(topic), timeout).map_err(|e| failed(e.to_string()))?;
            let found = metadata.topics().iter().find(|t| t.name() == topic);
            let partitions = match found.map(|t| (t.error().map(RDKafkaErrorCode::from), t)) {
                None | Some((Some(RDKafkaErrorCode::UnknownTopicOrPartition), _)) => 0,
                Some((Some(error), _)) => return Err(failed(error.to_string())),
                Some((None, t)) => i32::try_from(t.partitions().len()).unwrap_or(i32::MAX),
            };
            layout.0.insert(topic.clone(), partitions);
        }
        Ok(layout)
    }

    /// The larger of both, topic by topic.
    pub fn grown(mut self, known: &Self) -> Self {
        for (topic, partitions) in &known.0 {
            let own = self.0.entry(topic.clone()).or_default();
            *own = (*own).max(*partitions);
        }
        self
    }

    /// A topic without partitions.
    pub fn missing(&self) -> Option<&str> {
        self.0.iter().find(|(_, partitions)| **partitions == 0).map(|(topic, _)| topic.as_str())
    }

    /// These partitions of the input and all that follow them, each with the one it follows. A satellite with more
    /// partitions than the input loses none: the next round begins with the input's first.
    pub fn followers(
        &self,
        topics: &Topics,
        inputs: &BTreeSet<i32>,
    ) -> BTreeMap<TopicPartition, TopicPartition> {
        let of = |topic: &String| self.0.get(topic).copied().unwrap_or_default();
        // What the group gave us is there, even if a broker does not know it yet.
        let round = of(&topics.input).max(inputs.last().map_or(1, |last| last + 1));
        let mut all = BTreeMap::new();
        for &p in inputs {
            let input = TopicPartition::new(topics.input.clone(), p);
            for satellite in &topics.satellites {
                let own = (p..of(satellite)).step_by(usize::try_from(round).unwrap_or(1));
                all.extend(own.map(|q| (TopicPartition::new(satellite.clone(), q), input.clone())));
            }
            all.insert(input.clone(), input);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics { input: "in".into(), satellites: vec!["rung".into(), "redrive".into()] }
    }

    fn layout(input: i32, rung: i32, redrive: i32) -> Layout {
        Layout([("in", input), ("rung", rung), ("redrive", redrive)].map(|(t, n)| (t.to_owned(), n)).into())
    }

    fn names(layout: &Layout, inputs: &[i32]) -> Vec<String> {
        let inputs = inputs.iter().copied().collect();
        layout
            .followers(&topics(), &inputs)
            .iter()
            .map(|(name, of)| format!("{name}>{}", of.partition))
            .collect()
    }

    #[test]
    fn partitions_of_the_same_number_go_together() {
        assert_eq!(names(&layout(3, 3, 3), &[1]), ["in-1>1", "redrive-1>1", "rung-1>1"]);
        assert!(names(&layout(3, 3, 3), &[]).is_empty());
    }

    #[test]
    fn a_satellite_with_more_partitions_than_the_input_loses_none_and_with_fewer_has_none_to_give() {
        assert_eq!(
            names(&layout(2, 5, 1), &[0]),
            ["in-0>0", "redrive-0>0", "rung-0>0", "rung-2>0", "rung-4>0"]
        );
        assert_eq!(names(&layout(2, 5, 1), &[1]), ["in-1>1", "rung-1>1", "rung-3>1"]);
    }

    #[test]
    fn every_partition_follows_exactly_one_whatever_the_numbers() {
        for (input, satellite) in [(1, 1), (1, 7), (3, 8), (4, 4), (8, 3)] {
            let layout = layout(input, satellite, 0);
            let mut seen: Vec<_> = (0..input).flat_map(|p| names(&layout, &[p])).collect();
            seen.sort();
            seen.dedup();
            let all: Vec<_> = (0..input).collect();
            assert_eq!(seen.len(), names(&layout, &all).len());
            assert_eq!(seen.len(), usize::try_from(input + satellite).expect("small"));
        }
    }

    #[test]
    fn a_broker_that_is_behind_takes_nothing_away() {
        assert_eq!(layout(2, 0, 3).grown(&layout(4, 4, 1)), layout(4, 4, 3));
        assert_eq!(names(&layout(2, 4, 0), &[3]), ["in-3>3", "rung-3>3"]);
    }
}
