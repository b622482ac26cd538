//! Whether a stage can read a record: what its own validation says of it, without running it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, Kind, Validate};
use crate::flow::{Code, Fault, Topology};
use crate::message::payload::{Answer, Document, Draft, Indexed, Parsed, Passages, Question, Retrieved};
use crate::message::{DeadLetter, Record, trail};
use crate::schema::{Codec, Plan, Registry, Shape};
use crate::stage::{Job, validate};

/// Of all stages that were asked for.
#[derive(Default)]
pub struct Checks(BTreeMap<(String, String), Option<Check>>);

/// How one stage reads.
struct Check {
    codec: Codec,
    shape: Shape,
    validate: Option<Validate>,
}

impl Checks {
    /// The fault that it would be of the record, which is a letter's without the block that says why it died. A stage of one's
    /// own takes any bytes.
    pub async fn of(
        &mut self,
        config: &Config,
        registry: Option<&Arc<Registry>>,
        dead: &DeadLetter,
        mut record: Record,
    ) -> Result<(), Fault> {
        let stage = (dead.pipeline.clone(), dead.stage.clone());
        if !self.0.contains_key(&stage) {
            let check = Check::new(config, registry, &stage.0, &stage.1)?;
            self.0.insert(stage.clone(), check);
        }
        let Some(Some(check)) = self.0.get(&stage) else { return Ok(()) };
        trail::push_missing(&mut record.headers, &dead.correlation);
        let payload = check.codec.decode(&record).await?;
        let correlation = trail::correlate(&record.headers, &dead.origin);
        let origin_timestamp = dead.origin.timestamp.unwrap_or_default();
        let job = Job { correlation, origin_timestamp, payload, bill: Arc::default() };
        match &check.validate {
            Some(settings) => validate::check(settings, &job),
            None => fits(check.shape, &job),
        }
    }
}

impl Check {
    fn new(
        config: &Config,
        registry: Option<&Arc<Registry>>,
        pipeline: &str,
        stage: &str,
    ) -> Result<Option<Self>, Fault> {
        let topology = Topology::derive(config);
        let settings = config.pipelines.get(pipeline);
        let plan = settings.zip(topology.stage(pipeline, stage)).and_then(|(of, at)| Plan::around(of, at));
        let Some((plan, _)) = plan else { return Ok(None) };
        let validate = match config.stage(pipeline, stage).map(|one| &one.kind) {
            Some(Kind::Validate(settings)) => Some(settings.clone()),
            _ => None,
        };
        let codec = Codec::new(&plan, registry);
        let codec = codec.map_err(|e| Fault::new(Code::RegistryUnavailable, e.to_string()))?;
        Ok(Some(Self { codec, shape: plan.shape, validate }))
    }
}

fn fits(shape: Shape, job: &Job) -> Result<(), Fault> {
    match shape {
        Shape::Document => job.payload_as::<Document>().map(drop),
        Shape::Parsed => job.payload_as::<Parsed>().map(drop),
        Shape::Passages => job.payload_as::<Passages>().map(drop),
        Shape::Indexed => job.payload_as::<Indexed>().map(drop),
        Shape::Question => job.payload_as::<Question>().map(drop),
        Shape::Retrieved => job.payload_as::<Retrieved>().map(drop),
        Shape::Draft => job.payload_as::<Draft>().map(drop),
        Shape::Answer => job.payload_as::<Answer>().map(drop),
    }
}
