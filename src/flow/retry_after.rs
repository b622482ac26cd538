//! Reads a `Retry-After` header. Pure: the present is an argument, the wait is the answer.

use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;

/// The longest wait believed. A longer one is cut to this: no rung waits that long, and a header from
/// outside must not reach the edges of time arithmetic.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How long to wait from `now`. Whole seconds or an HTTP date, as RFC 9110 §10.2.3 says; seconds with a
/// fraction are read too, because some providers send them, and are rounded up so that nobody comes early.
/// A date in the past is no wait. `None` when the value is neither.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = seconds(value).or_else(|| until(value, now))?;
    Some(wait.min(RETRY_AFTER_MAX))
}

fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = whole.parse().unwrap_or(u64::MAX);
    let begun = u64::from(fraction.bytes().any(|b| b != b'0'));
    Some(Duration::from_secs(whole.saturating_add(begun)))
}

fn until(value: &str, now: Timestamp) -> Option<Duration> {
    let due = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Some(due.saturating_sub(Duration::from_millis(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(retry_after("0", now), Some(Duration::ZERO));
        assert_eq!(retry_after(" 17 ", now), Some(Duration::from_secs(17)));
    }

    #[test]
    fn a_fraction_of_a_second_is_rounded_up() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(retry_after("1.2", now), Some(Duration::from_secs(2)));
        assert_eq!(retry_after("1.0", now), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_date_is_a_wait_from_now() {
        let now = at("2026-11-22T10:00:00.250Z");
        let wait = retry_after("Sun, 22 Nov 2026 10:00:30 GMT", now);
        assert_eq!(wait, Some(Duration::from_millis(29_750)));
    }

    #[test]
    fn a_date_in_the_past_is_no_wait() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(retry_after("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO));
    }

    #[test]
    fn a_wait_beyond_all_measure_is_cut() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(retry_after("99999999999999999999999", now), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after("Sun, 22 Nov 2076 09:00:00 GMT", now), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn anything_else_is_no_hint() {
        let now = at("2026-11-22T10:00:00Z");
        for value in ["", "soon", "-1", "1.", ".5", "1e3", "+5", "0x10", "2026-11-22T10:00:30Z"] {
            assert_eq!(retry_after(value, now), None, "{value}");
        }
    }
}
