//! Rules about the archive: where it is, when what goes there, when it leaves, and how much room there is before.

use super::Findings;
use super::connections::url;
use crate::config::model::{Archive, Config, Retention, S3, Stage};
use crate::config::units::Span;

pub fn check(config: &Config, found: &mut Findings) {
    if let Some(archive) = &config.quarantine.archive {
        place(archive, found);
        times(archive, found);
    }
    for (name, pipeline) in &config.pipelines {
        let path = format!("pipelines.{name}");
        let (archives, delete_after) = (pipeline.dlq_archive, pipeline.dlq_delete_after);
        let has_budget = pipeline.dlq_budget.map(|budget| budget.0);
        settings(config, &path, archives, delete_after, has_budget, found);
        let never = |stage: &Stage| never(config, &config.retention(name, &stage.name));
        let all_never = pipeline.stages.len() > 1 && pipeline.stages.iter().all(never);
        if all_never {
            not_archived(&path, "this pipeline", found);
        }
        for (n, stage) in pipeline.stages.iter().enumerate() {
            let path = format!("{path}.stages[{n}]");
            if never(stage) && !all_never {
                not_archived(&path, "this stage", found);
            }
            let budget = stage.dlq_budget.map(|budget| budget.0);
            settings(config, &path, stage.dlq_archive, stage.dlq_delete_after, budget, found);
            in_time(config, &config.retention(name, &stage.name), &path, found);
        }
    }
}

fn place(archive: &Archive, found: &mut Findings) {
    let path = "quarantine.archive.to";
    let given = S3Given::of(&archive.s3);
    let Some(bucket) = archive.to.strip_prefix("s3://") else {
        let folder = archive.to.strip_prefix("file://").unwrap_or(&archive.to);
        if folder.is_empty() || folder.contains("://") {
            let message = format!("'{}' is not a place for an archive", archive.to);
            found.error(path, message, "write a folder, or s3://bucket/prefix");
        }
        if given.any {
            let hint = "remove it, or write 'to: s3://bucket/prefix'";
            found.error("quarantine.archive.s3", "a folder needs no store", hint);
        }
        return;
    };
    if bucket.split('/').next().is_none_or(str::is_empty) {
        found.error(path, "no bucket is named", "write s3://bucket/prefix");
    }
    for (name, is_given) in [("access_key", given.access_key), ("secret_key", given.secret_key)] {
        if !is_given {
            let hint = format!("add '{name}: {{ env: VARIABLE }}' or '{name}: {{ file: PATH }}'");
            found.error("quarantine.archive.s3", format!("a store needs a {name}"), hint);
        }
    }
    if let Some(endpoint) = &archive.s3.endpoint {
        url(endpoint, "quarantine.archive.s3.endpoint", found);
        if endpoint.starts_with("http://") && !archive.s3.allow_http {
            let hint = "use https, or say 'allow_http: true' where nobody else can listen";
            found.error("quarantine.archive.s3.endpoint", "dead letters would go without TLS", hint);
        }
    }
}

struct S3Given {
    any: bool,
    access_key: bool,
    secret_key: bool,
}

impl S3Given {
    fn of(s3: &S3) -> Self {
        let S3 { endpoint, region, access_key, secret_key, allow_http } = s3;
        let (access_key, secret_key) = (access_key.is_some(), secret_key.is_some());
        let any = endpoint.is_some() || region.is_some() || access_key || secret_key || *allow_http;
        Self { any, access_key, secret_key }
    }
}

fn times(archive: &Archive, found: &mut Findings) {
    let path = "quarantine.archive";
    found.not_zero(&format!("{path}.before"), archive.before);
    found.not_zero(&format!("{path}.every"), archive.every);
    if let Some(after) = archive.delete_after {
        found.not_zero(&format!("{path}.delete_after"), after);
    }
    if archive.before.0 < archive.every.0.saturating_mul(2) {
        let message = format!(
            "Kafka may delete a dead letter {} after it is to be archived, and that is looked at every {}",
            archive.before, archive.every
        );
        found.error(format!("{path}.before"), message, "make 'before' at least twice as long as 'every'");
    }
    if archive.delete_open && archive.delete_after.is_none() {
        let hint = "add 'delete_after', or give it to a pipeline or a stage as 'dlq_delete_after'";
        found.warning(format!("{path}.delete_open"), "nothing says when what is open is given up", hint);
    }
}

fn settings(
    config: &Config,
    path: &str,
    archives: Option<bool>,
    delete_after: Option<Span>,
    budget: Option<u64>,
    found: &mut Findings,
) {
    if budget == Some(0) {
        found.error(format!("{path}.dlq_budget"), "nothing would fit", "write a size such as 10GiB");
    }
    if let Some(after) = delete_after {
        found.not_zero(&format!("{path}.dlq_delete_after"), after);
    }
    let given = [("dlq_archive", archives == Some(true)), ("dlq_delete_after", delete_after.is_some())];
    for (name, _) in
        given.into_iter().filter(|(_, is_given)| *is_given && config.quarantine.archive.is_none())
    {
        let hint = "add 'quarantine: { archive: { to: FOLDER } }'";
        found.error(format!("{path}.{name}"), "there is no archive", hint);
    }
}

/// Whether its dead letters are to be archived, and never are.
fn never(config: &Config, retention: &Retention) -> bool {
    let archive = config.quarantine.archive.as_ref().filter(|_| retention.archive);
    archive.is_some_and(|archive| retention.keep.is_none() && archive.after.is_none())
}

fn not_archived(path: &str, what: &str, found: &mut Findings) {
    found.warning(
        path,
        format!("nothing of {what} is archived: Kafka keeps its dead letters for ever"),
        "give 'dlq_retention', or 'quarantine.archive.after', or say 'dlq_archive: false'",
    );
}

/// What is archived must be so before Kafka deletes it, and stay at least as long.
fn in_time(config: &Config, retention: &Retention, path: &str, found: &mut Findings) {
    let Some(archive) = config.quarantine.archive.as_ref().filter(|_| retention.archive) else { return };
    match retention.keep {
        Some(keep) if keep.0 <= archive.before.0 => found.warning(
            format!("{path}.dlq_retention"),
            format!("Kafka keeps dead letters for {keep}, and they are archived {} before", archive.before),
            "they are archived at once; make 'quarantine.archive.before' shorter if that is not meant",
        ),
        _ => {}
    }
    if let (Some(keep), Some(delete)) = (retention.keep, retention.delete_after)
        && delete.0 <= keep.0
    {
        let message = format!("they would leave the archive after {delete}, and Kafka after {keep}");
        found.warning(path, message, "make 'delete_after' longer than 'dlq_retention'");
    }
}
