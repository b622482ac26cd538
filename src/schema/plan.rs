//! Which topic carries what, in which format, by the configuration. Pure.

use crate::config::{Config, Format, Pipeline, Topic};
use crate::flow::topology::{StageTopics, Topology};

use super::shape::Shape;

/// How the values of one topic are written and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub topic: String,
    pub format: Format,
    pub shape: Shape,
    /// True when a stage of ours writes the topic; false when only others do.
    pub ours: bool,
}

impl Plan {
    /// The subject in the schema registry, by Confluent's TopicNameStrategy.
    pub fn subject(&self) -> String {
        format!("{}-value", self.topic)
    }

    /// What a stage reads and what it writes; `None` when the pipeline has no such stage, or it is one of one's own.
    ///
    /// Rungs, the redrive topic and the dead letter topic carry what the stage read, byte for byte.
    pub fn around(pipeline: &Pipeline, topics: &StageTopics) -> Option<(Plan, Plan)> {
        let stage = pipeline.stage(&topics.stage)?;
        let read = Plan {
            topic: topics.input.clone(),
            format: if topics.input_is_shared { pipeline.input.format } else { pipeline.between },
            shape: Shape::read_by(&stage.kind)?,
            ours: !topics.input_is_shared,
        };
        let written = Plan {
            topic: topics.next.clone()?,
            format: if topics.next_is_shared { pipeline.output.as_ref()?.format } else { pipeline.between },
            shape: Shape::written_by(&stage.kind)?,
            ours: true,
        };
        Some((read, written))
    }

    /// What stands in the pipeline's input topic; `None` when the pipeline has no stage.
    pub fn of_input(pipeline: &Pipeline) -> Option<Plan> {
        let first = pipeline.stages.first()?;
        let Topic { topic, format, .. } = &pipeline.input;
        Some(Plan { topic: topic.clone(), format: *format, shape: Shape::read_by(&first.kind)?, ours: false })
    }

    /// Every topic whose values have a schema in the registry, once, in the order of the flow.
    pub fn avro_topics(config: &Config) -> Vec<Plan> {
        let mut plans: Vec<Plan> = Vec::new();
        for stage in Topology::derive(config).stages {
            let Some(pipeline) = config.pipelines.get(&stage.pipeline) else { continue };
            let Some((read, written)) = Plan::around(pipeline, &stage) else { continue };
            for plan in [read, written].into_iter().filter(|plan| plan.format == Format::Avro) {
                match plans.iter_mut().find(|known| known.topic == plan.topic) {
                    Some(known) => known.ours |= plan.ours,
                    None => plans.push(plan),
                }
            }
        }
        plans
    }
}

#[cfg(test)]
mod tests;
