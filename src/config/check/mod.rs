//! Rules that no single field can state: what fits together, what Kafka allows, what would go wrong later.
//! Pure: no files, no network, no clock. Every rule is checked, so that all problems are reported together.

mod access;
mod archive;
mod care;
mod connections;
mod models;
mod order;
mod retry;
mod security;
mod stages;
mod sweep;
mod topics;

pub use access::is_safe;
pub use security::in_the_clear;

use super::model::sweep::Rule;
use super::model::{Config, Pipeline};
use super::problem::{Problem, Severity};
use super::units::Span;

/// Everything that is wrong or odd, without lines; the loader knows those.
pub fn check(config: &Config) -> Vec<Problem> {
    let mut found = Findings::default();
    if config.version != 1 {
        found.error("version", format!("version {} is not known", config.version), "write 'version: 1'");
    }
    connections::check(config, &mut found);
    if config.pipelines.is_empty() {
        found.error(
            "pipelines",
            "there is no pipeline",
            "add one; 'rag-ingest' in the shipped lazaret.yaml is an example",
        );
    }
    for (name, pipeline) in &config.pipelines {
        check_pipeline(config, name, pipeline, &mut found);
    }
    topics::check(config, &mut found);
    models::check(config, &mut found);
    care::check(config, &mut found);
    sweep::check(config, &mut found);
    archive::check(config, &mut found);
    found.0
}

/// The same of rules of the sweep that stand elsewhere: the problems that are errors.
pub fn check_rules(config: &Config, rules: &[Rule]) -> Vec<Problem> {
    let mut found = Findings::default();
    sweep::rules(config, rules, "rules", &mut found);
    found.0.retain(|problem| problem.severity == Severity::Error);
    found.0
}

fn check_pipeline(config: &Config, name: &str, pipeline: &Pipeline, found: &mut Findings) {
    let path = format!("pipelines.{name}");
    retry::check(&pipeline.retry, &format!("{path}.retry"), found);
    stages::check(config, pipeline, &path, found);
    order::check(pipeline, &path, found);
}

/// What the rules found so far.
#[derive(Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn error(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem::error(path, message).hint(hint));
    }

    fn warning(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem { severity: Severity::Warning, ..Problem::error(path, message).hint(hint) });
    }

    /// A limit of nothing would refuse everything.
    fn not_zero(&mut self, path: &str, span: Span) {
        if span.0.is_zero() {
            self.error(path, "this time must be longer than nothing", "write a duration such as 30s");
        }
    }
}

#[cfg(test)]
mod tests;
