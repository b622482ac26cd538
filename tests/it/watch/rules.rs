//! The alert rules of deploy/prometheus, as they are shipped.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{files, read};

#[derive(Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// A rule that alerts, or one that records.
#[derive(Deserialize)]
pub struct Rule {
    pub alert: Option<String>,
    pub record: Option<String>,
    pub expr: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// All rules, file by file.
pub fn all() -> Vec<Rule> {
    let parse = |path| -> File { serde_saphyr::from_str(&read(path)).expect("rules in YAML") };
    let files = files("deploy/prometheus", ".rules.yml");
    files.iter().flat_map(|path| parse(path).groups).flat_map(|group| group.rules).collect()
}

/// The alerts, by name.
pub fn alerts() -> Vec<(String, Rule)> {
    all().into_iter().filter_map(|rule| Some((rule.alert.clone()?, rule))).collect()
}

/// The text of all tests of rules.
pub fn tests() -> String {
    files("deploy/prometheus", ".rules_test.yml").iter().map(|path| read(path)).collect()
}

/// Names of metrics in a text, those of histograms' parts by the name of the histogram.
pub fn metrics(text: &str) -> BTreeSet<String> {
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let names = text.match_indices("lazaret_").map(|(at, _)| &text[at..]).map(|rest| &rest[..end(rest)]);
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}
