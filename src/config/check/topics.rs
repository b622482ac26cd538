//! Rules about topics: names that Kafka takes, no topic with two meanings, no pipelines in a circle.

use std::collections::BTreeMap;

use super::Findings;
use crate::config::model::{Config, Kind};
use crate::flow::Topology;
use crate::flow::topology::{NAME_MAX, NameProblem, StageTopics, name_problem};

pub fn check(config: &Config, found: &mut Findings) {
    let own = own_topics(config, found);
    for (name, pipeline) in &config.pipelines {
        let path = format!("pipelines.{name}");
        let topics = [("input", Some(&pipeline.input)), ("output", pipeline.output.as_ref())];
        for (key, topic) in topics.into_iter().filter_map(|(key, topic)| Some((key, &topic?.topic))) {
            let path = format!("{path}.{key}.topic");
            legal(topic, "topic", &path, found);
            if topic.len() > NAME_MAX {
                let message = format!("the topic name has {} characters", topic.len());
                found.error(&path, message, format!("Kafka allows {NAME_MAX}"));
            }
            if let Some(owner) = own.get(&collision_key(topic)) {
                found.error(
                    path,
                    format!("'{topic}' is {owner}"),
                    "choose another topic: this one belongs to the stage alone",
                );
            }
        }
        if pipeline.output.as_ref().is_some_and(|output| output.topic == pipeline.input.topic) {
            found.error(
                format!("{path}.output.topic"),
                format!(
                    "input and output are the same topic '{}': records would go round",
                    pipeline.input.topic
                ),
                "write the results to another topic",
            );
        }
    }
    quarantine(config, &own, found);
    circles(config, found);
}

/// The topic of operations is nobody else's; those of others that are indexed are no stage's. Only a program that uses the
/// library has no topic of operations: nothing is done with dead letters there.
fn quarantine(config: &Config, own: &BTreeMap<String, String>, found: &mut Findings) {
    let quarantine = &config.quarantine;
    let mut stages = config.pipelines.values().flat_map(|pipeline| &pipeline.stages);
    if stages.any(|stage| matches!(stage.kind, Kind::Own(_))) {
        return;
    }
    let flow = config.pipelines.values().flat_map(|pipeline| {
        [Some(&pipeline.input.topic), pipeline.output.as_ref().map(|output| &output.topic)]
    });
    let is_flow = flow.flatten().any(|topic| *topic == quarantine.operations);
    let others = quarantine.topics.iter().enumerate();
    let others = others.map(|(n, topic)| (format!("quarantine.topics[{n}]"), topic));
    for (path, topic) in
        [("quarantine.operations".to_owned(), &quarantine.operations)].into_iter().chain(others)
    {
        legal(topic, "topic", &path, found);
        if let Some(owner) = own.get(&collision_key(topic)) {
            found.error(
                path,
                format!("'{topic}' is {owner}"),
                "choose another topic: this one belongs to the stage alone",
            );
        }
    }
    if is_flow || quarantine.topics.contains(&quarantine.operations) {
        let message = format!("'{}' is used for something else", quarantine.operations);
        found.error(
            "quarantine.operations",
            message,
            "give what is done with dead letters a topic of its own",
        );
    }
}

/// Kafka's metric names cannot tell `.` from `_`, so a broker refuses `a_b` where there is `a.b`.
fn collision_key(topic: &str) -> String {
    topic.replace('.', "_")
}

/// Every topic that a stage owns, with words for what it is. Reports names that Kafka refuses and topics that
/// two stages would share.
fn own_topics(config: &Config, found: &mut Findings) -> BTreeMap<String, String> {
    let mut own: BTreeMap<String, String> = BTreeMap::new();
    let topology = Topology::derive(config);
    for (name, pipeline) in &config.pipelines {
        legal(name, "pipeline name", &format!("pipelines.{name}"), found);
        let of_stages = topology.stages.iter().filter(|topics| topics.pipeline == *name);
        for (n, (stage, topics)) in pipeline.stages.iter().zip(of_stages).enumerate() {
            let path = format!("pipelines.{name}.stages[{n}].name");
            legal(&stage.name, "stage name", &path, found);
            let topics = owned(topics);
            if let Some((longest, _)) = topics.iter().max_by_key(|(topic, _)| topic.len())
                && longest.len() > NAME_MAX
            {
                found.error(
                    &path,
                    format!("the topic '{longest}' would have {} characters", longest.len()),
                    format!("Kafka allows {NAME_MAX}; shorten the names of pipeline and stage"),
                );
            }
            // Two stages of one name are reported as such, not topic by topic.
            if pipeline.stages.iter().take(n).any(|s| s.name == stage.name) {
                continue;
            }
            let mut shared = None;
            for (topic, what) in topics {
                let what = format!("the {what} topic of stage '{}' in '{name}'", stage.name);
                // A rung that stands twice is reported as such.
                let other = own.insert(collision_key(topic), what.clone()).filter(|other| *other != what);
                if let Some(other) = other {
                    shared.get_or_insert((topic, what, other));
                }
            }
            if let Some((topic, what, other)) = shared {
                found.error(
                    &path,
                    format!("'{topic}' would be {what}, but it is {other} already"),
                    "rename one of them; for Kafka '.' and '_' are the same in topic names",
                );
            }
        }
    }
    own
}

/// The topics a stage owns: its input (but for the first stage, whose input is shared), rungs, redrive, dead
/// letters.
fn owned(topics: &StageTopics) -> Vec<(&str, &'static str)> {
    let mut own = vec![(topics.redrive.as_str(), "redrive"), (topics.dlq.as_str(), "dead letter")];
    own.extend(topics.rungs.iter().map(|rung| (rung.topic.as_str(), "retry")));
    own.extend(topics.park.as_deref().map(|park| (park, "parking")));
    if !topics.input_is_shared {
        own.push((&topics.input, "input"));
    }
    own
}

/// Kafka's rule for topic names, which pipeline and stage names become part of. How long a whole name may be is
/// told where there is one.
fn legal(name: &str, what: &str, path: &str, found: &mut Findings) {
    let hint = "use letters, digits, '.', '_' and '-'";
    let message = match name_problem(name) {
        Some(NameProblem::Empty) => format!("the {what} is empty"),
        Some(NameProblem::Character(bad)) => format!("Kafka does not take '{bad}' in the {what} '{name}'"),
        Some(NameProblem::Reserved) => format!("'{name}' is not a {what}"),
        Some(NameProblem::TooLong) | None => return,
    };
    found.error(path, message, hint);
}

/// A pipeline may feed another, but none may end up feeding itself. Each circle is reported once, at the
/// pipeline of its members that comes first.
fn circles(config: &Config, found: &mut Findings) {
    for start in config.pipelines.keys() {
        if let Some(way) = way_back(config, start)
            && way.iter().min() == Some(&start.as_str())
        {
            found.error(
                format!("pipelines.{start}.output.topic"),
                format!("pipelines feed each other in a circle: {} → {start}", way.join(" → ")),
                "let one of them write to another topic",
            );
        }
    }
}

/// The pipelines on the shortest way from a pipeline's output back to its input, itself first. A pipeline that
/// feeds itself directly is reported elsewhere.
fn way_back<'a>(config: &'a Config, start: &'a str) -> Option<Vec<&'a str>> {
    let goal = &config.pipelines.get(start)?.input.topic;
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        let output = config.pipelines.get(name)?.output.as_ref().map(|output| &output.topic);
        if output == Some(goal) && name != start {
            let mut way = vec![name];
            let mut at = name;
            while at != start {
                at = came_from.get(at)?;
                way.push(at);
            }
            way.reverse();
            return Some(way);
        }
        for (next, pipeline) in &config.pipelines {
            if Some(&pipeline.input.topic) == output
                && next != start
                && !came_from.contains_key(next.as_str())
            {
                came_from.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}
