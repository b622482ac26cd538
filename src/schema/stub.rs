//! A schema registry on loopback that says what a test tells it to say. For tests only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri};
use tokio::net::TcpListener;

use crate::config;
use crate::config::Span;

/// A server with a script: each request takes the next answer; the last one stays.
pub struct Stub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub async fn answering(answers: &[(u16, String)]) -> Self {
        let script: Arc<Mutex<VecDeque<(u16, String)>>> =
            Arc::new(Mutex::new(answers.iter().cloned().collect()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let paths = asked.clone();
        let answer = async move |uri: Uri| {
            paths.lock().unwrap().push(uri.to_string());
            let mut script = script.lock().unwrap();
            let (status, body) =
                if script.len() > 1 { script.pop_front() } else { script.front().cloned() }.unwrap();
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, asked }
    }

    pub fn settings(&self) -> config::Registry {
        settings(&self.url, Span::secs(5))
    }

    /// Paths of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub fn settings(url: &str, timeout: Span) -> config::Registry {
    config::Registry { url: url.to_owned(), username: None, password: None, timeout }
}

/// How a registry gives a schema by id.
pub fn schema(text: &str) -> (u16, String) {
    (200, serde_json::json!({ "schema": text }).to_string())
}

/// How a registry says what went wrong.
pub fn problem(status: u16, code: u32) -> (u16, String) {
    (status, serde_json::json!({ "error_code": code, "message": "as the test said" }).to_string())
}
