//! The dashboards of deploy/grafana, and what Grafana would ask for them.

use serde_json::Value;

use super::servers::Prometheus;
use super::{files, read};
use crate::rig::eventually;

pub struct Dashboard {
    pub json: Value,
}

pub fn all() -> Vec<Dashboard> {
    let parse = |path| Dashboard { json: serde_json::from_str(&read(path)).expect("JSON") };
    files("deploy/grafana", ".json").iter().map(|path| parse(path)).collect()
}

impl Dashboard {
    pub fn uid(&self) -> String {
        self.json["uid"].as_str().expect("a uid").to_owned()
    }

    /// Title and query of everything that is drawn.
    pub fn queries(&self) -> Vec<(String, String)> {
        let mut queries = Vec::new();
        for panel in self.json["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                queries.push((text(&panel["title"]), text(&target["expr"])));
            }
        }
        queries
    }

    /// The queries that fill its variables: which label of what.
    fn choices(&self) -> Vec<(String, String)> {
        let variables = self.json["templating"]["list"].as_array().expect("variables").iter();
        let queries = variables.filter_map(|variable| variable["query"]["query"].as_str());
        let inside = queries.filter_map(|query| query.strip_prefix("label_values(")?.strip_suffix(')'));
        inside
            .filter_map(|inside| inside.rsplit_once(", "))
            .map(|(of, label)| (of.into(), label.into()))
            .collect()
    }

    fn annotations(&self) -> Vec<String> {
        let all = self.json["annotations"]["list"].as_array().expect("annotations").iter();
        all.map(|one| one["expr"].as_str().expect("a query").to_owned()).collect()
    }
}

/// As Grafana fills them in, when everything is chosen and a long time is shown.
fn filled_in(query: &str) -> String {
    let all = ["$namespace", "$pipeline", "$stage", "$provider"];
    let query = all.iter().fold(query.to_owned(), |query, variable| query.replace(variable, ".*"));
    let query = query.replace("$__rate_interval", "10m").replace("$__range", "10m");
    assert!(!query.contains('$'), "a variable is left in {query}");
    query
}

/// Every panel of every dashboard has something to show, and every variable something to choose from.
pub async fn have_data(prometheus: &Prometheus) {
    for board in all() {
        for (title, query) in board.queries() {
            let asked = filled_in(&query);
            let what = format!("{}: {title} has data: {asked}", board.uid());
            let numbers = eventually(&what, async || {
                let numbers = prometheus.numbers(&asked).await;
                numbers.iter().any(|number| number.is_finite()).then_some(numbers)
            });
            numbers.await;
        }
        for (of, label) in board.choices() {
            let asked = format!("count by ({label}) ({})", filled_in(&of));
            let named = prometheus.labels(&asked, &label).await;
            assert!(!named.is_empty(), "{}: nothing to choose from: {asked}", board.uid());
        }
        for query in board.annotations() {
            // That nothing was deployed in the last minutes is well.
            prometheus.numbers(&filled_in(&query)).await;
        }
    }
}
