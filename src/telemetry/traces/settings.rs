//! What the environment says about traces, in the variables that OpenTelemetry has for it. They are off unless it names a
//! collector. What is wrong is an error at the start, not a line in the log of an exporter.
//!
//! Headers are read by the exporter itself: they are secrets, and nothing here sees them.

use std::time::Duration;

use opentelemetry_sdk::trace::{Sampler as Ratio, SamplingDecision, ShouldSample};
use url::Url;

use super::conventions::{Names, OPT_IN};
use crate::config::{AddressError, http_address, is_loopback};

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE_MAX: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const BATCH_MAX: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// See the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where spans go, for messages.
    pub endpoint: String,
    /// It is on this machine, where no proxy is needed.
    pub is_loopback: bool,
    /// How long the collector may take to answer.
    pub timeout: Duration,
    pub sampler: Sampler,
    pub names: Names,
    /// Spans that may wait for the collector; more are dropped.
    pub queue_max: usize,
    /// Spans of one request.
    pub batch_max: usize,
    /// How long a span may wait for others to be sent with.
    pub delay: Duration,
}

/// Which traces of healthy records are kept. Those of records that fail always are.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// Whoever began the trace has decided.
    parent: bool,
    root: Ratio,
}

/// A variable cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{variable}: {cause}; write for example http://localhost:4318")]
    Endpoint { variable: &'static str, cause: String },
    #[error("{variable}='{value}' is not spoken here; use http/protobuf, which collectors take on port 4318")]
    Protocol { variable: &'static str, value: String },
    #[error("{EXPORTER}='{0}' is not to be had; use otlp, or none for no traces")]
    Exporter(String),
    #[error(
        "{SAMPLER}='{0}' is not to be had; use always_on, always_off or traceidratio, each also with parentbased_ \
         before it"
    )]
    Sampler(String),
    #[error("{SAMPLER_ARG}='{0}' is not a share of traces; write a number from 0 to 1")]
    Share(String),
    #[error("{variable}='{value}' is not a number of at least 1")]
    Number { variable: &'static str, value: String },
    /// The message is the exporter's.
    #[error("traces cannot be sent to {endpoint}: {cause}")]
    Client { endpoint: String, cause: String },
}

impl Settings {
    /// `None` when there are to be no traces. `variable` looks into the environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let said = |name: &str| Some(variable(name)?.trim().to_owned()).filter(|text| !text.is_empty());
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, said(name)?)));
        let Some((place, endpoint)) = first(ENDPOINTS) else { return Ok(None) };
        if said(DISABLED).is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match said(EXPORTER).as_deref() {
            Some("none") => return Ok(None),
            None | Some("otlp") => {}
            Some(other) => return Err(SettingsError::Exporter(other.to_owned())),
        }
        if let Some((variable, value)) = first(PROTOCOLS).filter(|(_, value)| value != "http/protobuf") {
            return Err(SettingsError::Protocol { variable, value });
        }
        let number = |variable: &'static str, otherwise: u32| match said(variable) {
            None => Ok(otherwise),
            Some(value) => match value.parse() {
                Ok(number @ 1..) => Ok(number),
                _ => Err(SettingsError::Number { variable, value }),
            },
        };
        let timeout = first(TIMEOUTS).map_or(TIMEOUTS[1], |(name, _)| name);
        let endpoint = checked(place, &endpoint)?;
        let queue_max = number(QUEUE_MAX, 2048)?;
        Ok(Some(Self {
            is_loopback: is_loopback(&endpoint),
            endpoint: shown(endpoint),
            timeout: Duration::from_millis(number(timeout, 10_000)?.into()),
            sampler: Sampler::of(said(SAMPLER), said(SAMPLER_ARG))?,
            names: Names::of(&said(OPT_IN).unwrap_or_default()),
            queue_max: queue_max as usize,
            // More than waits cannot be sent at once, say the conventions.
            batch_max: number(BATCH_MAX, 512)?.min(queue_max) as usize,
            delay: Duration::from_millis(number(DELAY, 5000)?.into()),
        }))
    }
}

/// An address that can be shown, since it is in messages.
fn checked(variable: &'static str, text: &str) -> Result<Url, SettingsError> {
    http_address(text).map_err(|error| {
        let credentials = error == AddressError::Credentials;
        let remedy = if credentials { ", which belong into OTEL_EXPORTER_OTLP_HEADERS" } else { "" };
        SettingsError::Endpoint { variable, cause: format!("{error}{remedy}") }
    })
}

/// It stands in messages. What follows the path may be a key, and whoever looks for the place needs none of it.
fn shown(mut url: Url) -> String {
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

impl Sampler {
    fn of(name: Option<String>, share: Option<String>) -> Result<Self, SettingsError> {
        let name = name.unwrap_or_else(|| "parentbased_always_on".to_owned());
        let (parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name.as_str()),
        };
        let root = match root {
            "always_on" => Ratio::AlwaysOn,
            "always_off" => Ratio::AlwaysOff,
            "traceidratio" => Ratio::TraceIdRatioBased(match share {
                None => 1.0,
                Some(text) => match text.parse() {
                    Ok(share @ 0.0..=1.0) => share,
                    _ => return Err(SettingsError::Share(text)),
                },
            }),
            _ => return Err(SettingsError::Sampler(name)),
        };
        Ok(Self { parent, root })
    }

    /// Whether the trace of a healthy record is kept. `begun` is what whoever began it has decided, if somebody has.
    /// Everybody who asks the same question has the same answer.
    pub fn keeps(&self, trace: u128, begun: Option<bool>) -> bool {
        match begun.filter(|_| self.parent) {
            Some(kept) => kept,
            None => {
                let kind = opentelemetry::trace::SpanKind::Consumer;
                let asked = self.root.should_sample(None, trace.into(), "", &kind, &[], &[]);
                asked.decision == SamplingDecision::RecordAndSample
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        let set = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(set)
    }

    fn with(more: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        read(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")], more].concat())
    }

    #[test]
    fn there_are_no_traces_without_a_collector_or_where_they_are_switched_off() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
        assert!(read(&[("OTEL_SERVICE_NAME", "lazaret")]).unwrap().is_none());
        assert!(with(&[("OTEL_SDK_DISABLED", "TRUE")]).unwrap().is_none());
        assert!(with(&[("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_none());
        assert!(with(&[("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().is_some());
    }

    #[test]
    fn an_address_of_traces_wins_and_what_is_not_said_is_as_opentelemetry_has_it() {
        let read = with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces:4318/v1/traces")]);
        let read = read.unwrap().unwrap();
        assert_eq!(read.endpoint, "https://traces:4318/v1/traces");
        assert!(!read.is_loopback && read.timeout == Duration::from_secs(10));
        assert_eq!((read.queue_max, read.batch_max, read.delay), (2048, 512, Duration::from_secs(5)));
        assert!(read.sampler.keeps(1, None) && read.sampler.keeps(1, Some(true)));
        assert!(!read.sampler.keeps(1, Some(false)), "whoever began the trace has decided");
    }

    #[test]
    fn what_is_shown_of_an_address_ends_with_its_path_and_no_batch_is_larger_than_the_queue() {
        let keyed = "https://traces/v1/traces?api-key=s3cr3t#s3cr3t";
        let read = with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", keyed), ("OTEL_BSP_MAX_QUEUE_SIZE", "100")]);
        let read = read.unwrap().unwrap();
        assert_eq!(read.endpoint, "https://traces/v1/traces");
        assert_eq!((read.queue_max, read.batch_max), (100, 100));
    }

    #[test]
    fn what_cannot_be_used_is_said_with_a_remedy_and_without_secrets() {
        for (variable, value, remedy) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector:4317", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:s3cr3t@c:4318", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "otlp"),
            ("OTEL_TRACES_SAMPLER", "xray", "traceidratio"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "at least 1"),
        ] {
            let wrong = with(&[(variable, value)]).unwrap_err().to_string();
            assert!(wrong.starts_with(variable) && wrong.contains(remedy), "{wrong}");
            assert!(!wrong.contains("s3cr3t"), "{wrong}");
        }
        for share in ["2", "-0.1", "NaN", "half"] {
            let asked = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", share)];
            assert!(with(&asked).unwrap_err().to_string().contains("from 0 to 1"), "{share}");
        }
    }

    #[test]
    fn a_share_of_traces_is_kept_and_always_the_same_ones() {
        let sampler = Sampler::of(Some("traceidratio".into()), Some("0.25".into())).unwrap();
        let traces = || (0..4000u128).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let kept = |trace: &u128| sampler.keeps(*trace, None);
        let share = traces().filter(kept).count();
        assert!((900..1100).contains(&share), "{share} of 4000");
        assert!(traces().all(|trace| sampler.keeps(trace, Some(true)) == kept(&trace)), "it asks nobody");
    }

    #[test]
    fn a_root_sampler_behind_a_parent_decides_where_nobody_has() {
        let sampler = Sampler::of(Some("parentbased_always_off".into()), None).unwrap();
        assert!(!sampler.keeps(1, None));
        assert!(sampler.keeps(1, Some(true)));
    }
}
