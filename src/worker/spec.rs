//! A stage's configuration in the terms of the engine. Pure.

use std::time::Duration;

use super::work::tenant;
use crate::config::{
    self, AfterDead, ClassRule, Config, Fairness, Followers, Kind, Pipeline, Retry, RetryOverride, Stage,
};
use crate::flow::Ladder;
use crate::flow::engine::{Delivery, Fair, Ordering, Spec};
use crate::flow::ladder::Limits;
use crate::flow::rule::Rule;
use crate::ledger::Holding;

/// Offsets are committed this long after a record has ended, together with what ended meanwhile.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// How long dead letters, retries and parked records gather where much fails: not so long that anybody waits for them.
const GATHER: Duration = Duration::from_millis(500);
/// Bytes of records that a stage holds at least, whatever their size.
const BYTES_MIN: u64 = 64 << 20;

/// Bytes of what is on its way to Kafka: as much as a busy stage writes while a transaction is under way. Large records go
/// one by one then.
const OUTPUTS_MAX: usize = 16 << 20;

/// Bytes of records that wait on rungs and are held to be served by due time, of all partitions of a stage.
const WAITING_MAX: usize = 16 << 20;

/// Followers of failing records held in memory per partition: this share of the window, so that other keys have the
/// rest.
const FOLLOWERS_SHARE: usize = 4;
/// Records of one input partition that may be on rungs or parked where an order is kept. Each costs some 50 bytes.
const OUTSTANDING_MAX: usize = 100_000;

/// The engine's bounds and policy for this stage. `settles` as in [`Spec`].
pub fn spec(pipeline: &Pipeline, stage: &Stage, settles: bool) -> Spec {
    let retry = crate::flow::topology::retry_of(pipeline, stage);
    Spec {
        delivery: match delivery_of(pipeline, stage) {
            config::Delivery::ExactlyOnce => Delivery::ExactlyOnce,
            config::Delivery::AtLeastOnce => Delivery::AtLeastOnce,
        },
        ordering: (stage.ordering != config::Ordering::None).then_some(Ordering {
            wait: stage.followers == Followers::Wait,
            hold: stage.after_dead == AfterDead::Hold,
        }),
        fair: stage.fairness.as_ref().map(fair),
        comeback: retry.per_second,
        settles,
        waiting: WAITING_MAX,
        followers: stage.window / FOLLOWERS_SHARE,
        outstanding: OUTSTANDING_MAX,
        concurrency: stage.concurrency,
        window: stage.window,
        bytes: usize::try_from(BYTES_MIN.max(pipeline.record_max.0.saturating_mul(2))).unwrap_or(usize::MAX),
        outputs: OUTPUTS_MAX,
        ladder: ladder(retry),
        rules: rules(stage),
        commit_every: COMMIT_EVERY,
        gather: GATHER,
    }
}

fn fair(fairness: &Fairness) -> Fair {
    let weights = fairness.weights.iter().map(|(name, weight)| (tenant(name.as_bytes()), *weight));
    Fair { weights: weights.collect(), share: fairness.share }
}

/// The stage's own way of delivery, or the pipeline's.
pub fn delivery_of(pipeline: &Pipeline, stage: &Stage) -> config::Delivery {
    stage.delivery.unwrap_or(pipeline.delivery)
}

/// Which jobs hold up later records of their key.
pub fn holding(stage: &Stage) -> Holding {
    match (stage.ordering, stage.after_dead) {
        (config::Ordering::None, _) => Holding::Nothing,
        (_, AfterDead::Continue) => Holding::Live,
        (_, AfterDead::Hold) => Holding::LiveAndDead,
    }
}

/// Names what a stage does and with what: it changes with the settings and with Lazaret's version, and is the
/// same on every machine.
pub fn revision(stage: &Stage, config: &Config) -> String {
    if let Kind::Own(own) = &stage.kind {
        return own.revision.clone();
    }
    // The providers' addresses decide what a model call means, and its price does not; their secrets are only named here.
    let mut providers = config.providers.clone();
    providers.values_mut().for_each(|provider| provider.prices.clear());
    let settings = serde_json::to_string(&(&stage.kind, &stage.classify, &providers)).unwrap_or_default();
    let hash = blake3::hash(settings.as_bytes()).to_hex();
    format!("{}-{}", env!("CARGO_PKG_VERSION"), &hash[..12])
}

/// That of a stage as it is configured now; `None` when there is no such stage.
pub fn revision_of(config: &Config, pipeline: &str, stage: &str) -> Option<String> {
    Some(revision(config.stage(pipeline, stage)?, config))
}

fn ladder(retry: &Retry) -> Ladder {
    let limits = Limits {
        max_attempts: retry.max_attempts,
        base: retry.base.0,
        cap: retry.cap.0,
        max_elapsed: retry.max_elapsed.0,
    };
    let overridden = |over: &RetryOverride| Limits {
        max_attempts: over.max_attempts.unwrap_or(limits.max_attempts),
        base: over.base.map_or(limits.base, |span| span.0),
        cap: over.cap.map_or(limits.cap, |span| span.0),
        max_elapsed: over.max_elapsed.map_or(limits.max_elapsed, |span| span.0),
    };
    Ladder {
        limits,
        overrides: retry.overrides.iter().map(|(code, over)| (*code, overridden(over))).collect(),
        factor: retry.factor,
        jitter: retry.jitter,
        rungs: retry.rungs.iter().map(|rung| rung.0).collect(),
        stepwise: retry.stepwise,
    }
}

/// The stage's rules that give a failure another class.
pub fn rules(stage: &Stage) -> Vec<Rule> {
    let rule = |rule: &ClassRule| {
        let ClassRule { code, status, message, class } = rule.clone();
        Rule { code, status, message, class }
    };
    stage.classify.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Amount, Price};
    use crate::flow::Code;

    fn config(extra: &str) -> Config {
        let text = include_str!("../../lazaret.yaml").replace("cap: 10m\n", &format!("cap: 10m\n{extra}"));
        Config::parse(&text, "lazaret.yaml").expect("a configuration")
    }

    #[test]
    fn an_override_changes_what_it_names_and_leaves_the_rest() {
        let config = config("      overrides: { llm.rate_limited: { max_attempts: 20 } }\n");
        let pipeline = &config.pipelines["rag-ingest"];
        let ladder = spec(pipeline, &pipeline.stages[0], true).ladder;
        let limits = ladder.overrides[&Code::LlmRateLimited];
        assert_eq!((limits.max_attempts, limits.cap), (20, ladder.limits.cap));
        assert_eq!(ladder.limits.max_attempts, 8);
    }

    #[test]
    fn the_revision_changes_with_the_settings_and_with_nothing_else() {
        let config = config("");
        let stages = &config.pipelines["rag-ingest"].stages;
        let mut parse = stages[1].clone();
        assert_eq!(revision(&stages[1], &config), revision(&parse, &config));
        parse.concurrency += 1;
        assert_eq!(revision(&stages[1], &config), revision(&parse, &config));
        assert_ne!(revision(&stages[1], &config), revision(&stages[2], &config));
        let mut dearer = config.clone();
        let price = Price { input: Amount::of(1.0).expect("an amount"), output: Amount::default() };
        for provider in dearer.providers.values_mut() {
            provider.prices.insert("m".into(), price);
        }
        assert_eq!(
            revision(&stages[1], &config),
            revision(&stages[1], &dearer),
            "what it costs changes nothing"
        );
    }
}
