//! What is recorded of every release in the same way: a pipeline, and what is sent into it.

use lazaret::message::OutRecord;
use serde_json::{Value, json};

use crate::rig::{Rig, record};

/// The name of the pipeline, and of all that is named after it.
pub const NAME: &str = "release";

/// Whoever works: a host's name is nobody's business.
pub const INSTANCE: &str = "instance: worker-1";

/// Nothing in it may depend on how long ago it was recorded: what it writes is kept for ever.
pub const PIPELINE: &str = "
  '{p}':
    input: { topic: '{p}.in' }
    output: { topic: '{p}.out' }
    partitions: 2
    retention: 36500d
    retry:
      max_attempts: 50
      base: 20s
      factor: 1
      jitter: 0
      max_elapsed: 36500d
      rungs: [20s]
      overrides: { llm.malformed: { max_attempts: 1 } }
    stages:
      - { name: chunk, kind: chunk, timeout: 10s }
      - name: embed
        kind: { embed: { provider: local, model: lazaret-embed } }
        concurrency: 4
        window: 8
        timeout: 10s
        ordering: key
";

/// Followers of a record that waits on a rung: some are held, the others parked.
pub const FOLLOWERS: usize = 6;

/// A document of this job. Its text begins with the job's name, by which calls are known.
pub fn document(rig: &Rig, job: &str, text: &str) -> OutRecord {
    version(rig, job, job, 1, text)
}

/// A version of a document; a document's versions have one key.
pub fn version(rig: &Rig, job: &str, id: &str, version: usize, text: &str) -> OutRecord {
    let document = json!({ "id": id, "tenant": tenant(job), "version": version });
    let text = if text.is_empty() { String::new() } else { format!("{job} {text}") };
    OutRecord {
        key: Some(id.to_owned().into()),
        ..sent(rig, job, &json!({ "document": document, "text": text }))
    }
}

/// Any value as the record of a job.
pub fn sent(rig: &Rig, job: &str, value: &Value) -> OutRecord {
    record(&rig.topic("in"), &[("job-id", job), ("tenant-id", &tenant(job))], value)
}

fn tenant(job: &str) -> String {
    format!("tenant-{job}")
}
