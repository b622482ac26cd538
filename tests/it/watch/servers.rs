//! A real Prometheus with the shipped rules, a real Alertmanager, and somebody who is called by it.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Json, State};
use axum::routing::post;
use serde_json::Value;
use url::Url;

use super::{files, read};
use crate::real::real;
use crate::rig::eventually;

/// A server that ends with the test.
struct Server {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Server {
    /// Starts it on a free port of loopback and waits until it is ready.
    async fn start(program: &str, folder: &Path, name: &str, flags: &[String], listen: &str) -> Server {
        // Free now; nobody else on this machine asks for just this one in the next moment.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(program);
        command.args(flags).arg(format!("{listen}=127.0.0.1:{port}")).current_dir(folder);
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("a log file"));
        let child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
        let mut server = Server { child, url: format!("http://127.0.0.1:{port}"), log };
        eventually(&format!("{name} is ready"), async || {
            let ended = server.child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "{name} has ended: {}", read(&server.log));
            let reply = client().get(format!("{}/-/ready", server.url)).send().await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await;
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("the last of {}:\n{}", self.log.display(), &log[log.len().saturating_sub(2000)..]);
        }
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Evaluates the shipped rules.
pub struct Prometheus(Server);

impl Prometheus {
    /// Where the program is. `None` only when the real tests are to be passed over on purpose.
    pub fn program() -> Option<String> {
        real("Prometheus", "LAZARET_TEST_PROMETHEUS", "/path/to/prometheus")
    }

    /// Scrapes these processes and evaluates the rules every second. Of the rules one thing is changed, for the test's sake: for how
    /// long a condition must hold.
    pub async fn start(
        program: &str,
        folder: &Path,
        targets: &[&str],
        alertmanager: &Alertmanager,
    ) -> Prometheus {
        let rules = folder.join("rules");
        std::fs::create_dir_all(&rules).expect("a folder");
        for path in files("deploy/prometheus", ".rules.yml") {
            let shorter = |line: &str| match line.split_once("for: ") {
                Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 1s\n"),
                _ => format!("{line}\n"),
            };
            let text: String = read(&path).lines().map(shorter).collect();
            std::fs::write(rules.join(path.file_name().expect("a name")), text).expect("rules");
        }
        let host = |url: &str| format!("'{}'", url.trim_start_matches("http://"));
        let targets: Vec<String> = targets.iter().map(|url| host(url)).collect();
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [ 'rules/*.yml' ]\n\
             alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: [ {} ] }} ] }} ] }}\n\
             scrape_configs:\n\
             \x20 - {{ job_name: lazaret, static_configs: [ {{ targets: [ {} ], labels: {{ namespace: test }} }} ] }}\n",
            host(&alertmanager.0.url),
            targets.join(", "),
        );
        std::fs::write(folder.join("prometheus.yml"), config).expect("a configuration");
        let flags = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--log.level=warn"];
        let flags = flags.map(str::to_owned);
        Prometheus(Server::start(program, folder, "prometheus", &flags, "--web.listen-address").await)
    }

    /// What an instant query finds.
    async fn ask(&self, query: &str) -> Vec<Value> {
        let url = Url::parse_with_params(&format!("{}/api/v1/query", self.0.url), [("query", query)])
            .expect("an address");
        let reply = client().get(url).send().await.expect("Prometheus answers");
        let told: Value = reply.json().await.expect("JSON");
        assert_eq!(told["status"], "success", "{query}: {told}");
        told["data"]["result"].as_array().expect("a vector").clone()
    }

    pub async fn numbers(&self, query: &str) -> Vec<f64> {
        let found = self.ask(query).await;
        found.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok()).collect()
    }

    /// The values of a label of what a query finds.
    pub async fn labels(&self, query: &str, label: &str) -> Vec<String> {
        let found = self.ask(query).await;
        found.iter().filter_map(|one| Some(one["metric"][label].as_str()?.to_owned())).collect()
    }
}

/// Sends what fires on, each alert by itself and at once.
pub struct Alertmanager(Server);

impl Alertmanager {
    /// Where the program is. `None` only when the real tests are to be passed over on purpose.
    pub fn program() -> Option<String> {
        real("Alertmanager", "LAZARET_TEST_ALERTMANAGER", "/path/to/alertmanager")
    }

    pub async fn start(program: &str, folder: &Path, called: &Called) -> Alertmanager {
        let config = format!(
            "route: {{ receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\n\
             receivers: [ {{ name: test, webhook_configs: [ {{ url: '{}', send_resolved: true }} ] }} ]\n",
            called.url
        );
        std::fs::write(folder.join("alertmanager.yml"), config).expect("a configuration");
        let flags = [
            format!("--config.file={}", folder.join("alertmanager.yml").display()),
            format!("--storage.path={}", folder.join("alertmanager").display()),
            "--cluster.listen-address=".to_owned(),
        ];
        Alertmanager(Server::start(program, folder, "alertmanager", &flags, "--web.listen-address").await)
    }
}

/// Whoever is called. Remembers what for.
pub struct Called {
    url: String,
    alerts: Arc<Mutex<Vec<Value>>>,
}

impl Called {
    pub async fn listen() -> Called {
        let alerts: Arc<Mutex<Vec<Value>>> = Arc::default();
        let take = async |State(alerts): State<Arc<Mutex<Vec<Value>>>>, Json(sent): Json<Value>| {
            let new = sent["alerts"].as_array().cloned().unwrap_or_default();
            alerts.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        };
        let router = Router::new().route("/", post(take)).with_state(alerts.clone());
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", socket.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(socket, router).await });
        Called { url, alerts }
    }

    /// Waits until this alert of the stage has this status, and returns it.
    pub async fn hears(&self, alert: &str, status: &str, labels: &[(&str, &str)]) -> Value {
        eventually(&format!("{alert} is {status}"), async || {
            let heard = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
            let is_it = |one: &&Value| {
                let has = |(label, value): &(&str, &str)| one["labels"][label] == *value;
                one["labels"]["alertname"] == alert && one["status"] == status && labels.iter().all(has)
            };
            heard.iter().find(is_it).cloned()
        })
        .await
    }

    /// The alerts that were heard of, each once.
    pub fn names(&self) -> Vec<String> {
        let heard = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> =
            heard.iter().filter_map(|one| Some(one["labels"]["alertname"].as_str()?.to_owned())).collect();
        names.sort();
        names.dedup();
        names
    }
}
