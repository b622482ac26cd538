//! Rules about retry policies: a ladder that ascends, a backoff that waits.

use super::Findings;
use crate::config::model::Retry;

pub fn check(retry: &Retry, path: &str, found: &mut Findings) {
    let at = |name: &str| format!("{path}.{name}");
    if retry.max_attempts == 0 {
        found.error(
            at("max_attempts"),
            "no attempt at all is allowed",
            "write 1 for a single attempt without retries",
        );
    }
    found.not_zero(&at("base"), retry.base);
    if retry.per_second == Some(0) {
        found.error(
            at("per_second"),
            "nothing would ever come back from a rung",
            "leave it out for no limit",
        );
    }
    if retry.base > retry.cap {
        found.error(
            at("base"),
            format!("the first wait ({}) is longer than the longest ({})", retry.base, retry.cap),
            "lower 'base' or raise 'cap'",
        );
    }
    // Negated, so that NaN is refused too.
    if !(retry.factor >= 1.0 && retry.factor.is_finite()) {
        found.error(
            at("factor"),
            format!("with a factor of {} the waits do not grow", retry.factor),
            "write 1 for equal waits, or 2 or 3 for growing ones",
        );
    }
    if !(0.0..=1.0).contains(&retry.jitter) {
        found.error(
            at("jitter"),
            format!("{} is not a share", retry.jitter),
            "write a number from 0 (none) to 1 (the whole wait)",
        );
    }
    rungs(retry, path, found);
    overrides(retry, path, found);
}

fn rungs(retry: &Retry, path: &str, found: &mut Findings) {
    if retry.rungs.is_empty() {
        found.error(
            format!("{path}.rungs"),
            "the ladder has no rung",
            "write at least one delay, such as [5s, 1m, 10m]",
        );
    }
    for (n, rung) in retry.rungs.iter().enumerate() {
        found.not_zero(&format!("{path}.rungs[{n}]"), *rung);
    }
    for (n, pair) in retry.rungs.windows(2).enumerate() {
        let [lower, upper] = pair else { continue };
        if upper <= lower {
            let message = match upper == lower {
                true => format!("the rung {upper} stands twice"),
                false => format!("the ladder does not ascend: {upper} comes after {lower}"),
            };
            found.error(
                format!("{path}.rungs[{}]", n + 1),
                message,
                "write the delays in ascending order, each once, such as [1s, 30s, 10m]",
            );
        }
    }
}

fn overrides(retry: &Retry, path: &str, found: &mut Findings) {
    for (code, other) in &retry.overrides {
        let path = format!("{path}.overrides.{code}");
        if other.max_attempts == Some(0) {
            found.error(
                format!("{path}.max_attempts"),
                "no attempt at all is allowed",
                "write 1 for a single attempt without retries",
            );
        }
        let (base, cap) = (other.base.unwrap_or(retry.base), other.cap.unwrap_or(retry.cap));
        if base > cap && (other.base.is_some() || other.cap.is_some()) {
            found.error(
                path,
                format!("for {code} the first wait ({base}) is longer than the longest ({cap})"),
                "lower 'base' or raise 'cap'; what is not given here is the policy's own",
            );
        }
    }
}
