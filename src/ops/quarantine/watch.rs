//! Which groups of dead letters are new, and which have come back, from one look to the next. What is there at the first look is
//! not counted: nobody knows when it came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Config;
use crate::flow::Topology;
use crate::quarantine::{Filter, Group, Quarantine, QuarantineError};
use crate::telemetry::metrics;

/// Groups that are looked at: those with the latest deaths, among which every new one is.
const GROUPS: usize = 1000;
/// Groups that are remembered.
const KNOWN_MAX: usize = 50_000;

/// Pipeline and stage.
type Place = (String, String);

/// What was seen before.
#[derive(Debug, Default)]
pub struct Watch {
    /// By fingerprint: the resolution after which it is known to have come back.
    known: HashMap<String, Option<Timestamp>>,
    has_looked: bool,
    /// The latest death of the first look.
    since: Option<Timestamp>,
}

/// How many groups of a stage are new, and how many have come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct News {
    opened: u64,
    reopened: u64,
}

impl Watch {
    /// Looks, and tells the metrics.
    pub async fn look(
        &mut self,
        config: &Config,
        index: &Arc<dyn Quarantine>,
    ) -> Result<(), QuarantineError> {
        let mut news = self.compare(&index.groups(&Filter::default(), GROUPS).await?);
        let stages = Topology::derive(config).stages.into_iter().map(|stage| (stage.pipeline, stage.stage));
        for place in stages {
            news.entry(place).or_default();
        }
        for ((pipeline, stage), News { opened, reopened }) in news {
            metrics::dlq_groups(&pipeline, &stage, opened, reopened);
        }
        Ok(())
    }

    fn compare(&mut self, groups: &[Group]) -> BTreeMap<Place, News> {
        let mut news: BTreeMap<Place, News> = BTreeMap::new();
        for group in groups {
            let back = group.regressed.then_some(group.resolved_at).flatten();
            let before = self.known.insert(group.fingerprint.clone(), back);
            if !self.has_looked {
                continue;
            }
            let of = news.entry((group.pipeline.clone(), group.stage.clone())).or_default();
            // One that was there before can be among the latest for the first time.
            of.opened += u64::from(before.is_none() && self.since.is_none_or(|since| group.first > since));
            of.reopened += u64::from(back.is_some() && before.is_some_and(|before| before != back));
        }
        if !self.has_looked {
            self.since = groups.iter().map(|group| group.last).max();
        }
        self.has_looked = true;
        if self.known.len() > KNOWN_MAX {
            let there: HashSet<&str> = groups.iter().map(|group| group.fingerprint.as_str()).collect();
            self.known.retain(|fingerprint, _| there.contains(fingerprint.as_str()));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::Remarks;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// A group that was resolved at this time, and whose last letter died at that.
    fn group(fingerprint: &str, resolved: Option<i64>, last: i64) -> Group {
        Group {
            fingerprint: fingerprint.into(),
            pipeline: "p".into(),
            stage: "embed".into(),
            code: "llm.timeout".into(),
            class: "transient".into(),
            message: String::new(),
            count: 1,
            states: Vec::new(),
            first: at(last),
            last: at(last),
            tenants: 0,
            resources: 0,
            bytes: 0,
            tokens: None,
            oldest_open: None,
            oldest_unseen: None,
            oldest_record: None,
            remarks: Remarks::default(),
            resolved_at: resolved.map(at),
            regressed: resolved.is_some_and(|resolved| last > resolved),
        }
    }

    fn news(watch: &mut Watch, groups: &[Group]) -> (u64, u64) {
        let news = watch.compare(groups);
        let of = news.get(&("p".to_owned(), "embed".to_owned())).copied().unwrap_or_default();
        (of.opened, of.reopened)
    }

    #[test]
    fn what_is_there_at_the_first_look_is_no_news_and_what_comes_after_it_is_once() {
        let mut watch = Watch::default();
        assert_eq!(news(&mut watch, &[group("a", None, 1)]), (0, 0));
        let old = Group { first: at(0), ..group("old", None, 3) };
        assert_eq!(news(&mut watch, &[old]), (0, 0), "it was not among the latest, and is not new");
        let both = [group("b", None, 2), group("a", None, 1)];
        assert_eq!(news(&mut watch, &both), (1, 0));
        assert_eq!(news(&mut watch, &both), (0, 0));
        assert_eq!(news(&mut watch, &[]), (0, 0));
        assert_eq!(news(&mut watch, &both), (0, 0), "it was away, and is not new");
    }

    #[test]
    fn a_group_comes_back_once_after_each_time_that_it_was_resolved() {
        let mut watch = Watch::default();
        let mut look = |resolved, last| news(&mut watch, &[group("a", resolved, last)]);
        assert_eq!(look(Some(1), 2), (0, 0), "it had come back before");
        assert_eq!(look(Some(1), 3), (0, 0));
        assert_eq!(look(Some(4), 3), (0, 0), "resolved again");
        assert_eq!(look(Some(4), 5), (0, 1));
        assert_eq!(look(Some(4), 6), (0, 0));
        assert_eq!(look(Some(7), 8), (0, 1), "resolved and back between two looks");
    }
}
