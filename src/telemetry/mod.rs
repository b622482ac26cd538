//! Seen from outside: log lines, metrics, traces, and the HTTP port that shows metrics and probes.

pub mod http;
pub mod log;
pub mod metrics;
pub mod traces;
