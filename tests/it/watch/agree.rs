//! Rules, their tests, runbooks, dashboards and metrics name each other, and what they name is there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::rules::{alerts, all, metrics, tests};
use super::{at, dashboards, files, read};

const SECTIONS: [&str; 4] = ["## What it means", "## What to look at", "## What to do", "## It is over when"];

/// Pages that are about no single alert.
const GENERAL: [&str; 2] = ["README", "dlq-not-empty"];

#[test]
fn every_alert_says_how_bad_it_is_who_is_to_act_what_to_do_and_where_to_look() {
    let boards: BTreeSet<String> = dashboards::all().iter().map(|board| board.uid()).collect();
    for (name, rule) in alerts() {
        let of =
            |key: &str| rule.annotations.get(key).unwrap_or_else(|| panic!("{name} has no {key}")).as_str();
        assert!(
            ["critical", "warning", "info"].contains(&rule.labels["severity"].as_str()),
            "{name}: severity"
        );
        assert!(["pipeline", "platform"].contains(&rule.labels["owner"].as_str()), "{name}: owner");
        assert!(of("summary").contains(": "), "{name} says what is so, and after a colon what to do");
        let page = of("runbook_url").rsplit_once("/docs/runbooks/").expect("a page of ours").1;
        assert_eq!(page, format!("{name}.md"));
        let board =
            of("dashboard").strip_prefix("/d/").expect("a dashboard").split('?').next().expect("its uid");
        assert!(boards.contains(board), "{name} leads to {board}, which is not there");
    }
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let tests = tests();
    for (name, _) in alerts() {
        let cases: Vec<&str> = tests.split(&format!("alertname: {name}\n")).skip(1).collect();
        let silent = cases.iter().filter(|case| case.trim_start().starts_with("exp_alerts: []")).count();
        assert_eq!((cases.len(), silent), (2, 1), "{name}");
    }
}

#[test]
fn rules_and_dashboards_ask_for_metrics_that_there_are() {
    let catalogue = read(&at("src/telemetry/metrics/catalogue.rs"));
    let known =
        |metric: &String| catalogue.contains(&format!("\"{}\"", metric.trim_start_matches("lazaret_")));
    let recorded: Vec<String> = all().into_iter().filter_map(|rule| rule.record).collect();
    for rule in all() {
        let what = rule.alert.or(rule.record).expect("a name");
        for metric in metrics(&rule.expr) {
            assert!(known(&metric), "{what} asks for {metric}");
        }
        for asked in rule.expr.split_whitespace().filter(|word| word.starts_with("lazaret:")) {
            assert!(
                recorded.iter().any(|name| name == asked),
                "{what} asks for {asked}, which nothing records"
            );
        }
    }
    for board in dashboards::all() {
        for (title, query) in board.queries() {
            assert!(metrics(&query).iter().all(known), "{}: {title} asks for {query}", board.uid());
        }
    }
}

#[test]
fn every_metric_is_told_by_somebody() {
    let sources = sources(&at("src"));
    for file in ["src/telemetry/metrics.rs", "src/telemetry/metrics/ops.rs"] {
        let text = read(&at(file));
        for name in text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next()) {
            assert!(sources.contains(&format!("metrics::{name}(")), "nobody calls {name} of {file}");
        }
    }
}

/// The text of all sources but those of the metrics themselves.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let text = |path: std::path::PathBuf| match path {
        path if path.ends_with("telemetry/metrics") || path.ends_with("telemetry/metrics.rs") => {
            String::new()
        }
        path if path.is_dir() => sources(&path),
        path => read(&path),
    };
    entries.map(text).collect()
}

#[test]
fn the_dashboard_that_an_alert_leads_to_shows_what_it_is_about() {
    for (name, rule) in alerts() {
        let dashboard = rule.annotations["dashboard"].trim_start_matches("/d/");
        let board = dashboards::all()
            .into_iter()
            .find(|board| dashboard.starts_with(&board.uid()))
            .expect("a dashboard");
        let shown = metrics(&board.json.to_string());
        assert!(
            !metrics(&rule.expr).is_disjoint(&shown),
            "{name}: {dashboard} shows none of {:?}",
            metrics(&rule.expr)
        );
    }
}

#[test]
fn every_alert_has_a_runbook_with_all_sections_and_no_runbook_is_about_nothing() {
    let names: BTreeSet<String> = alerts().into_iter().map(|(name, _)| name).collect();
    for name in &names {
        let page = read(&at(&format!("docs/runbooks/{name}.md")));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}: the heading");
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, SECTIONS, "{name}: the sections, in this order");
        for section in page.split("\n## ").skip(1) {
            assert!(
                section.split_once('\n').is_some_and(|(_, body)| !body.trim().is_empty()),
                "{name}: {section}"
            );
        }
    }
    for page in files("docs/runbooks", ".md") {
        let name = page.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(
            names.contains(&name) || GENERAL.contains(&name.as_str()),
            "docs/runbooks/{name}.md is about no alert"
        );
    }
}

#[test]
fn the_table_of_runbooks_is_the_list_of_alerts() {
    let row = |(name, rule): &(String, super::rules::Rule)| {
        format!("| [{name}]({name}.md) | {} | {} |\n", rule.labels["severity"], rule.labels["owner"])
    };
    let table: String = alerts().iter().map(row).collect();
    let page = read(&at("docs/runbooks/README.md"));
    assert!(page.ends_with(&table), "the table at the end of docs/runbooks/README.md should read:\n{table}");
}

#[test]
fn every_dashboard_has_a_data_source_and_a_namespace_to_choose_and_every_panel_leads_to_a_page() {
    for board in dashboards::all() {
        let variables: Vec<&str> = board.json["templating"]["list"]
            .as_array()
            .expect("variables")
            .iter()
            .filter_map(|variable| variable["name"].as_str())
            .collect();
        assert_eq!(variables[..2], ["datasource", "namespace"], "{}", board.uid());
        let kinds: Vec<&Value> =
            board.json["annotations"]["list"].as_array().expect("annotations").iter().collect();
        assert_eq!(
            kinds.iter().map(|kind| kind["name"].as_str().expect("a name")).collect::<Vec<_>>(),
            ["Deployed", "Redrive"]
        );
        for panel in
            board.json["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "text")
        {
            let title = panel["title"].as_str().expect("a title");
            let url = panel["links"][0]["url"].as_str().unwrap_or_else(|| panic!("{title} leads nowhere"));
            let page =
                url.split_once("/blob/main/").expect("a page of ours").1.split('#').next().expect("a path");
            assert!(at(page).exists(), "{title} leads to {page}");
            assert!(
                panel["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{title} says nothing of itself"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}
