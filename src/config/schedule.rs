//! When something is done again and again, as cron writes it: `*/10 * * * *`, in UTC unless a time zone follows
//! (`0 7 * * MON-FRI Asia/Tokyo`).

use std::fmt;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::Timestamp;

use super::text::as_text;

/// Two are the same when their texts are.
#[derive(Clone)]
pub struct Schedule {
    text: String,
    crontab: Crontab,
}

impl Schedule {
    /// The error says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let wrong = || {
            format!(
                "'{text}' is not a schedule; write it like */10 * * * * (minute, hour, day of the month, month, day of the week)"
            )
        };
        let crontab = cronexpr::parse_crontab_with(text, options).map_err(|_| wrong())?;
        let schedule = Self { text: text.to_owned(), crontab };
        match schedule.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(format!("'{text}' never comes")),
        }
    }

    /// The first time after this one. `None` when there is none.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        self.crontab.find_next(MakeTimestamp(time)).ok().map(|next| next.timestamp())
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({:?})", self.text)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

as_text!(
    Schedule,
    "description": "A schedule as cron writes it, `*/10 * * * *`, in UTC unless a time zone follows"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_when_the_next_time_is() {
        for (text, next) in [
            ("*/10 * * * *", "2026-01-31T12:10:00Z"),
            ("0 7 * * *", "2026-02-01T07:00:00Z"),
            ("0 7 * * MON-FRI Asia/Tokyo", "2026-02-01T22:00:00Z"),
        ] {
            let schedule = Schedule::parse(text).expect(text);
            let now: Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
            assert_eq!(schedule.after(now), Some(next.parse().expect("a time")), "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_told_what_would_be_one() {
        for text in ["", "often", "61 * * * *", "* * *", "0 0 30 2 *", "* * * * * Mars/Base"] {
            let told = Schedule::parse(text).expect_err(text);
            assert!(told.contains("*/10 * * * *") || told.contains("never comes"), "{text}: {told}");
        }
    }
}
