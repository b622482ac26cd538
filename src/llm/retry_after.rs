//! How long a provider asks us to wait, in every form in which providers say it. Pure: the time comes in.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// Longest wait that is believed. Beyond it a header is more likely wrong (an epoch, milliseconds) than meant,
/// and a record must not sleep for weeks on one bad header.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// The wait that the headers ask for, counted from `now`.
///
/// `retry-after-ms` (OpenAI, Azure) is the finer one and wins. `Retry-After` is RFC 9110 §10.2.3: seconds or an
/// HTTP-date; some providers send fractions of a second, which is more than the RFC allows. A date that has
/// passed means no wait.
pub fn from_headers(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(|ms| seconds(ms, 0.001)) {
        return Some(wait);
    }
    let value = text("retry-after")?;
    seconds(value, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(now).unwrap_or(Duration::ZERO).min(RETRY_AFTER_MAX))
    })
}

/// A wait such as `34.07s`, the form of `google.rpc.RetryInfo`.
pub fn from_retry_info(text: &str) -> Option<Duration> {
    seconds(text.strip_suffix('s')?, 1.0)
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let wait = text.parse::<f64>().ok()? * unit;
    if wait.is_nan() || wait < 0.0 {
        return None;
    }
    Some(Duration::from_secs_f64(wait.min(RETRY_AFTER_MAX.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// Sun, 22 Nov 2026 04:00:00 GMT
    fn now() -> SystemTime {
        httpdate::parse_http_date("Sun, 22 Nov 2026 04:00:00 GMT").unwrap()
    }

    fn wait(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap()))
            .collect();
        from_headers(&headers, now())
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (header, value, expected) in [
            ("retry-after", "0", ms(0)),
            ("retry-after", "20", ms(20_000)),
            ("retry-after", " 7 ", ms(7_000)),
            ("retry-after", "1.5", ms(1_500)),
            ("retry-after", "0.25", ms(250)),
            ("retry-after-ms", "120", ms(120)),
            ("retry-after", "Sun, 22 Nov 2026 04:01:30 GMT", ms(90_000)),
            ("retry-after", "Sunday, 22-Nov-26 04:00:02 GMT", ms(2_000)),
            ("retry-after", "Sun, 22 Nov 2026 03:59:00 GMT", ms(0)),
            ("retry-after", "-3", None),
            ("retry-after", "NaN", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
        ] {
            assert_eq!(wait(&[(header, value)]), expected, "{header}: {value}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn milliseconds_win_over_seconds() {
        let both = [("retry-after", "1"), ("retry-after-ms", "350")];
        assert_eq!(wait(&both), Some(Duration::from_millis(350)));
        let broken = [("retry-after", "1"), ("retry-after-ms", "?")];
        assert_eq!(wait(&broken), Some(Duration::from_secs(1)));
    }

    #[test]
    fn an_absurd_wait_is_bounded() {
        for value in ["1795320000", "inf", "1e300", "Sun, 22 Nov 2099 04:00:00 GMT"] {
            assert_eq!(wait(&[("retry-after", value)]), Some(RETRY_AFTER_MAX), "{value}");
        }
    }

    #[test]
    fn the_google_form_is_read() {
        assert_eq!(from_retry_info("34.5s"), Some(Duration::from_millis(34_500)));
        assert_eq!(from_retry_info("34"), None);
    }
}
