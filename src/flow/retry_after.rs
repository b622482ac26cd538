//! How long the other side asks us to wait, in every form in which servers say it. Pure: headers and the present
//! come in, the wait comes out. A wait is never rounded down, so nobody comes early.

use std::time::Duration;

use jiff::Timestamp;

/// Longest wait that is believed. Beyond it a header is more likely wrong (an epoch, milliseconds) than meant,
/// and a record must not sleep for weeks on one bad header.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// The wait that the headers ask for, counted from `now`. `header` looks one up by its lower-case name.
///
/// `retry-after-ms` (OpenAI, Azure) is the finer one and wins. `retry-after` is RFC 9110 §10.2.3: seconds or an
/// HTTP date; some providers send fractions of a second, which is more than the RFC allows. A date that has
/// passed means no wait. `None` when there is no hint that can be read.
pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> Option<Duration> {
    let finer = header("retry-after-ms").and_then(|value| span(value.trim(), MILLISECOND));
    finer.or_else(|| {
        let value = header("retry-after")?.trim();
        span(value, SECOND).or_else(|| until(value, now))
    })
}

/// A wait such as `34.07s`, the form of `google.rpc.RetryInfo`.
pub fn from_retry_info(text: &str) -> Option<Duration> {
    span(text.strip_suffix('s')?, SECOND)
}

/// A decimal number of units. Exact to the nanosecond, and a smaller remainder counts as a whole one.
fn span(text: &str, unit: Duration) -> Option<Duration> {
    const BILLION: u128 = 1_000_000_000;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let (billionths, beyond) = fraction.split_at(fraction.len().min(9));
    let billionths: u128 = format!("{billionths:0<9}").parse().ok()?;
    let remainder = u128::from(beyond.bytes().any(|b| b != b'0'));
    let units = u128::from(whole.parse().unwrap_or(u64::MAX)) * BILLION + billionths + remainder;
    let nanos = (units * unit.as_nanos()).div_ceil(BILLION);
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(RETRY_AFTER_MAX))
}

fn until(value: &str, now: Timestamp) -> Option<Duration> {
    let due = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
    // What is negative is no `Duration`: the date has passed.
    let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The wait at Sun, 22 Nov 2026 04:00:00.25 GMT.
    fn wait(headers: &[(&str, &'static str)]) -> Option<Duration> {
        let now = "2026-11-22T04:00:00.250Z".parse().expect("a timestamp");
        from_headers(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value), now)
    }

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        for (header, value, expected) in [
            ("retry-after", "0", ms(0)),
            ("retry-after", "20", ms(20_000)),
            ("retry-after", " 7 ", ms(7_000)),
            ("retry-after", "1.5", ms(1_500)),
            ("retry-after", "0.25", ms(250)),
            ("retry-after-ms", "120", ms(120)),
            ("retry-after", "Sun, 22 Nov 2026 04:01:30 GMT", ms(89_750)),
            ("retry-after", "Sunday, 22-Nov-26 04:00:02 GMT", ms(1_750)),
            ("retry-after", "Sun, 22 Nov 2026 03:59:00 GMT", ms(0)),
        ] {
            assert_eq!(wait(&[(header, value)]), expected, "{header}: {value}");
        }
    }

    #[test]
    fn anything_else_is_no_hint() {
        assert_eq!(wait(&[]), None);
        for value in ["", "soon", "-3", "1.", ".5", "1e3", "+5", "0x10", "NaN", "inf", "2026-11-22T10:00:30Z"]
        {
            assert_eq!(wait(&[("retry-after", value)]), None, "{value}");
        }
    }

    #[test]
    fn milliseconds_win_over_seconds_when_they_can_be_read() {
        assert_eq!(wait(&[("retry-after", "1"), ("retry-after-ms", "350")]), ms(350));
        assert_eq!(wait(&[("retry-after", "1"), ("retry-after-ms", "?")]), ms(1_000));
    }

    #[test]
    fn a_wait_is_never_rounded_down() {
        assert_eq!(wait(&[("retry-after", "1.0000000001")]), Some(Duration::new(1, 1)));
        assert_eq!(wait(&[("retry-after-ms", "0.0000001")]), Some(Duration::from_nanos(1)));
        assert_eq!(wait(&[("retry-after", "1.0000000000")]), ms(1_000));
    }

    #[test]
    fn an_absurd_wait_is_bounded() {
        for value in ["1795320000", "99999999999999999999999", "Sun, 22 Nov 2099 04:00:00 GMT"] {
            assert_eq!(wait(&[("retry-after", value)]), Some(RETRY_AFTER_MAX), "{value}");
        }
    }

    #[test]
    fn the_google_form_is_read() {
        assert_eq!(from_retry_info("34.5s"), ms(34_500));
        assert_eq!(from_retry_info("34"), None);
    }

    /// The header alone, at a time that the test names.
    fn alone(name: &str, value: &str, now: Timestamp) -> Option<Duration> {
        from_headers(|asked| (asked == name).then_some(value), now)
    }

    proptest! {
        #[test]
        fn a_number_of_seconds_or_milliseconds_is_read_exactly(whole in 0u64..80_000, nanos in 0u32..1_000_000_000) {
            let seconds = Duration::new(whole, nanos);
            let text = format!("{whole}.{nanos:09}");
            prop_assert_eq!(alone("retry-after", &text, Timestamp::UNIX_EPOCH), Some(seconds));
            prop_assert_eq!(from_retry_info(&format!("{text}s")), Some(seconds));
            let ms = Duration::from_nanos((u64::from(nanos) + whole * 1_000_000_000).div_ceil(1000));
            prop_assert_eq!(alone("retry-after-ms", &text, Timestamp::UNIX_EPOCH), Some(ms));
        }

        #[test]
        fn a_date_is_the_time_until_then(secs in 0i64..200_000_000_000, wait in 0i32..200_000, nanos in 0i32..1_000_000_000) {
            let now = Timestamp::new(secs, nanos).unwrap();
            let then = Timestamp::new(secs + i64::from(wait), 0).unwrap();
            let date = httpdate::fmt_http_date(then.into());
            let exact = Duration::try_from(then.duration_since(now)).unwrap_or_default();
            prop_assert_eq!(alone("retry-after", &date, now), Some(exact.min(RETRY_AFTER_MAX)));
        }

        #[test]
        fn hostile_values_give_a_bounded_wait_or_none(
            value in prop_oneof!["(?s).{0,60}", "[0-9.]{0,60}", "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"],
            ms in Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond(),
        ) {
            let now = Timestamp::from_millisecond(ms).unwrap();
            for wait in [alone("retry-after", &value, now), alone("retry-after-ms", &value, now), from_retry_info(&value)] {
                prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
            }
        }
    }
}
