//! Rules about the stages of one pipeline: names, limits, settings of their kinds.

use std::collections::BTreeMap;

use super::{Findings, retry};
use crate::config::model::{Chunk, Config, Fairness, Format, Kind, Pipeline, Stage, Subject};
use crate::config::units::Span;
use crate::config::{Asks, suggest};

pub fn check(config: &Config, pipeline: &Pipeline, path: &str, found: &mut Findings) {
    if pipeline.stages.is_empty() {
        found.error(
            format!("{path}.stages"),
            "the pipeline has no stages",
            "add at least one, such as '- { name: validate, kind: validate }'",
        );
    }
    numbers(pipeline, path, found);
    formats(config, pipeline, path, found);
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, stage) in pipeline.stages.iter().enumerate() {
        let path = format!("{path}.stages[{n}]");
        if let Some(first) = names.insert(&stage.name, n) {
            found.error(
                format!("{path}.name"),
                format!("the stages {} and {} are both named '{}'", first + 1, n + 1, stage.name),
                "give each stage of a pipeline a name of its own; topics and groups are named after it",
            );
        }
        one(config, stage, &path, found);
    }
}

fn one(config: &Config, stage: &Stage, path: &str, found: &mut Findings) {
    if stage.concurrency == 0 || stage.window == 0 {
        let name = if stage.concurrency == 0 { "concurrency" } else { "window" };
        found.error(format!("{path}.{name}"), "the stage would never run a record", "write at least 1");
    } else if stage.concurrency > stage.window {
        found.error(
            format!("{path}.concurrency"),
            format!("{} records at once do not fit a window of {}", stage.concurrency, stage.window),
            "raise 'window' or lower 'concurrency'",
        );
    }
    found.not_zero(&format!("{path}.timeout"), stage.timeout);
    patience(config, stage, path, found);
    if stage.partitions == Some(0) {
        found.error(format!("{path}.partitions"), "a topic needs a partition", "write at least 1");
    }
    if let Some(policy) = &stage.retry {
        retry::check(policy, &format!("{path}.retry"), found);
    }
    if let Some(fairness) = &stage.fairness {
        fair(fairness, &format!("{path}.fairness"), found);
    }
    for (n, rule) in stage.classify.iter().enumerate() {
        if rule.code.is_none() && rule.status.is_none() && rule.message.is_none() {
            found.error(
                format!("{path}.classify[{n}]"),
                "this rule matches every failure",
                "say which failures are meant: 'code', 'status' or 'message'",
            );
        }
    }
    kind(config, &stage.kind, path, found);
}

fn fair(fairness: &Fairness, path: &str, found: &mut Findings) {
    if !(1..=100).contains(&fairness.share) {
        found.error(
            format!("{path}.share"),
            format!("{} is no percentage that a tenant can work with", fairness.share),
            "write 1 to 100; 100 leaves no place free for others",
        );
    }
    for (name, _) in fairness.weights.iter().filter(|(_, weight)| **weight == 0) {
        found.error(
            format!("{path}.weights.{name}"),
            format!("'{name}' would never have a turn"),
            "write at least 1",
        );
    }
}

fn kind(config: &Config, kind: &Kind, path: &str, found: &mut Findings) {
    let path = format!("{path}.kind.{}", kind.name());
    if let Some(asks) = kind.asks() {
        provider(config, asks.provider, &path, found);
    }
    match kind {
        Kind::Chunk(chunk) => chunk_settings(chunk, &path, found),
        Kind::Retrieve(retrieve) => {
            if retrieve.top_k == 0 {
                found.error(format!("{path}.top_k"), "nothing would be found", "write at least 1");
            }
        }
        Kind::Generate(generate) => {
            if generate.max_tokens == 0 {
                found.error(format!("{path}.max_tokens"), "no answer would fit", "write at least 1");
            }
            if !(0.0..=2.0).contains(&generate.temperature) {
                let message = format!("{} is not a temperature", generate.temperature);
                found.error(format!("{path}.temperature"), message, "write a number from 0 to 2");
            }
        }
        Kind::Parse(parse) => found.not_zero(&format!("{path}.time_max"), parse.time_max),
        Kind::Embed(_) | Kind::Validate(_) | Kind::Index(_) | Kind::Ground(_) | Kind::Own(_) => {}
    }
}

fn chunk_settings(chunk: &Chunk, path: &str, found: &mut Findings) {
    for (name, value) in
        [("tokens_max", chunk.tokens_max), ("part", chunk.part), ("passages_max", chunk.passages_max)]
    {
        if value == 0 {
            found.error(format!("{path}.{name}"), "no passage would fit", "write at least 1");
        }
    }
    if chunk.tokens_max > 0 && chunk.overlap >= chunk.tokens_max {
        found.error(
            format!("{path}.overlap"),
            format!("an overlap of {} leaves nothing new in {} tokens", chunk.overlap, chunk.tokens_max),
            "make 'overlap' smaller than 'tokens_max'; a tenth of it is usual",
        );
    }
}

/// A provider that hangs must be told from a stage that is slow, so the stage must wait longer than the call.
fn patience(config: &Config, stage: &Stage, path: &str, found: &mut Findings) {
    let Some(Asks { provider: name, .. }) = stage.kind.asks() else { return };
    let Some(provider) = config.providers.get(name).filter(|p| p.timeout.0 >= stage.timeout.0) else {
        return;
    };
    found.warning(
        format!("{path}.timeout"),
        format!(
            "the stage gives up after {}, and a call to '{name}' only after {}",
            stage.timeout, provider.timeout
        ),
        format!("make it longer than providers.{name}.timeout, or a provider that hangs is not seen as down"),
    );
}

fn provider(config: &Config, name: &str, path: &str, found: &mut Findings) {
    if config.providers.contains_key(name) {
        return;
    }
    let known = config.providers.keys().map(String::as_str);
    let hint = match config.providers.is_empty() {
        true => format!("add it: 'providers: {{ {name}: {{ base_url: … }} }}'"),
        false => suggest::hint(name, "known are", known),
    };
    found.error(format!("{path}.provider"), format!("there is no provider '{name}'"), hint);
}

fn numbers(pipeline: &Pipeline, path: &str, found: &mut Findings) {
    let partitions = [
        ("partitions", Some(pipeline.partitions)),
        ("input.partitions", pipeline.input.partitions),
        ("output.partitions", pipeline.output.as_ref().and_then(|output| output.partitions)),
        ("replication", pipeline.replication),
    ];
    for (name, value) in partitions {
        if value == Some(0) {
            found.error(format!("{path}.{name}"), "a topic cannot have none of these", "write at least 1");
        }
    }
    found.not_zero(&format!("{path}.retention"), pipeline.retention);
    dlq_retention(pipeline.dlq_retention, pipeline, &format!("{path}.dlq_retention"), found);
    for (n, stage) in pipeline.stages.iter().enumerate() {
        dlq_retention(stage.dlq_retention, pipeline, &format!("{path}.stages[{n}].dlq_retention"), found);
    }
    if pipeline.record_max.0 == 0 {
        found.error(format!("{path}.record_max"), "no record would fit", "write a size such as 8MiB");
    }
}

/// Kafka counts a dead letter's retention from the original record's timestamp, and that record may be old.
fn dlq_retention(keep: Option<Span>, pipeline: &Pipeline, path: &str, found: &mut Findings) {
    let Some(dlq) = keep else { return };
    found.not_zero(path, dlq);
    if dlq <= pipeline.retention && !dlq.0.is_zero() {
        found.warning(
            path,
            format!(
                "a record may be {} old when it becomes a dead letter, and {dlq} after it was made Kafka deletes it",
                pipeline.retention
            ),
            "make 'dlq_retention' longer than 'retention', or leave it out to keep dead letters for ever",
        );
    }
}

fn formats(config: &Config, pipeline: &Pipeline, path: &str, found: &mut Findings) {
    let uses = [
        ("input.format", pipeline.input.format),
        ("between", pipeline.between),
        ("output.format", pipeline.output.as_ref().map(|output| output.format).unwrap_or_default()),
    ];
    for (name, format) in uses {
        let path = format!("{path}.{name}");
        match format {
            Format::Avro if config.registry.is_none() => found.error(
                path,
                "avro needs a schema registry, and none is given",
                "add 'registry: { url: … }', or write 'json'",
            ),
            Format::Bytes if name != "input.format" => found.error(
                path,
                "'bytes' is for input topics of documents only",
                "write 'json' or 'avro'; what stages hand on has fields",
            ),
            Format::Bytes if !starts_with_documents(pipeline) => found.error(
                path,
                "'bytes' needs a first stage that takes documents",
                "make the first stage 'kind: { validate: { of: document } }'",
            ),
            _ => {}
        }
    }
}

fn starts_with_documents(pipeline: &Pipeline) -> bool {
    matches!(pipeline.stages.first().map(|s| &s.kind), Some(Kind::Validate(v)) if v.of == Subject::Document)
}
