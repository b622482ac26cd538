//! What is open and due goes into objects of the archive, and then it is written down where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;

use super::{ArchiveError, BY_ARCHIVE, Vault};
use crate::config::{Archive, Config, Retention, Span};
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::pick::Picker;
use crate::message::TopicPartition;
use crate::ops::quarantine::content::portions;
use crate::ops::quarantine::{Acts, pages};
use crate::quarantine::{Deed, Entry, Filter, Kept as Place, LETTERS_MAX, Quarantine, State};
use crate::telemetry::metrics;

/// Groups that are asked for.
const GROUPS: usize = 1000;
/// Letters that are asked for together.
const PAGE: usize = 1000;

/// What went into the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub letters: u64,
    pub objects: u64,
    /// Of the objects.
    pub bytes: u64,
    /// Kafka had deleted them before they could be read.
    pub lost: u64,
}

/// Archives what is due, of all stages. The index is up to date; it learns what was done from the topic of operations.
pub async fn keep(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    vault: &Vault,
    producer: &Producer,
    topic: &str,
    now: Timestamp,
) -> Result<Kept, ArchiveError> {
    let Some(archive) = &config.quarantine.archive else { return Ok(Kept::default()) };
    let topology = Topology::derive(config);
    let mut keeper = Keeper {
        index,
        vault,
        acts: Acts::new(producer, topic, BY_ARCHIVE, None),
        picker: Picker::new(&config.kafka, "archive", topology.message_max()),
        kept: Kept::default(),
    };
    let stages = topology.stages.into_iter().map(|stage| (stage.pipeline, stage.stage));
    let others = (!config.quarantine.topics.is_empty()).then(Default::default);
    let mut stages: BTreeSet<(String, String)> = stages.chain(others).collect();
    // Letters may be of stages that this configuration does not have, or not any more.
    let standing = Filter { states: vec![State::Open, State::Redriving], ..Filter::default() };
    let groups = index.groups(&standing, GROUPS).await?.into_iter();
    stages.extend(groups.map(|group| (group.pipeline, group.stage)));
    for (pipeline, stage) in stages {
        let due = due(archive, &config.retention(&pipeline, &stage), now);
        for filter in due {
            let of_stage = Filter { pipeline: Some(pipeline.clone()), stage: Some(stage.clone()), ..filter };
            let before = keeper.kept.letters;
            keeper.all(of_stage).await?;
            if keeper.kept.letters > before {
                // The next filter may ask for the same.
                super::serve::up_to_date(config, index).await?;
            }
        }
    }
    Ok(keeper.kept)
}

/// Archives these, wherever they are in their lives, in the name of a rule or a person. The index is up to date.
pub async fn keep_these(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    vault: &Vault,
    acts: Acts<'_>,
    letters: Vec<Entry>,
) -> Result<Kept, ArchiveError> {
    let message_max = Topology::derive(config).message_max();
    let picker = Picker::new(&config.kafka, "archive", message_max);
    let mut keeper = Keeper { index, vault, acts, picker, kept: Kept::default() };
    let mut by_partition = BTreeMap::<TopicPartition, Vec<Entry>>::new();
    for entry in letters {
        by_partition.entry(entry.place().0).or_default().push(entry);
    }
    for letters in by_partition.into_values() {
        keeper.these(letters).await?;
    }
    Ok(keeper.kept)
}

/// What is due: what Kafka may soon delete, and what is old enough. They may share letters. Pure.
fn due(archive: &Archive, retention: &Retention, now: Timestamp) -> Vec<Filter> {
    if !retention.archive {
        return Vec::new();
    }
    let before = |span: Span| now.checked_sub(span.0).unwrap_or(Timestamp::MIN);
    let open =
        Filter { states: vec![State::Open, State::Redriving], kept: vec![Place::Kafka], ..Filter::default() };
    let soon = retention.keep.map(|keep| Filter {
        logged_before: Some(before(Span(keep.0.saturating_sub(archive.before.0)))),
        ..open.clone()
    });
    let old = archive.after.map(|after| Filter { until: Some(before(after)), ..open.clone() });
    soon.into_iter().chain(old).collect()
}

struct Keeper<'a> {
    index: &'a Arc<dyn Quarantine>,
    vault: &'a Vault,
    acts: Acts<'a>,
    picker: Picker,
    kept: Kept,
}

impl Keeper<'_> {
    /// Letters of one partition go together. At most as many are held of each as an object may have.
    async fn all(&mut self, filter: Filter) -> Result<(), ArchiveError> {
        let (index, mut gathered) = (self.index, BTreeMap::<TopicPartition, Vec<Entry>>::new());
        let mut pages = pages::letters(&**index, &filter, PAGE);
        while let Some(letters) = pages.try_next().await? {
            for known in letters {
                let at = known.entry.place().0;
                let letters = gathered.entry(at).or_default();
                letters.push(known.entry);
                if letters.len() == LETTERS_MAX {
                    let letters = std::mem::take(letters);
                    self.these(letters).await?;
                }
            }
        }
        for letters in gathered.into_values() {
            self.these(letters).await?;
        }
        Ok(())
    }

    async fn these(&mut self, mut letters: Vec<Entry>) -> Result<(), ArchiveError> {
        letters.sort_by_key(|entry| entry.at.offset);
        for letters in portions(letters, LETTERS_MAX, |entry| entry.size) {
            self.parcel(letters).await?;
        }
        Ok(())
    }

    /// The object first, then the act: what is written down is there.
    async fn parcel(&mut self, letters: Vec<Entry>) -> Result<(), ArchiveError> {
        // What another pass has archived meanwhile need not go there again.
        let ids: Vec<String> = letters.iter().map(|entry| entry.id.clone()).collect();
        let known = self.index.get(&ids).await?.into_iter();
        let still: BTreeMap<String, Entry> = known
            .filter(|known| known.kept == Place::Kafka)
            .map(|known| (known.entry.id.clone(), known.entry))
            .collect();
        let letters: Vec<Entry> =
            letters.into_iter().filter(|entry| still.get(&entry.id) == Some(entry)).collect();
        let mut found = self.picker.pick(letters.iter().map(Entry::place)).await?;
        let asked = letters.len() as u64;
        let record = |entry: Entry| {
            let record =
                found.remove(&entry.place()).filter(|record| super::find::is_that_of(&entry, record));
            Some((entry, record?))
        };
        let letters: Vec<_> = letters.into_iter().filter_map(record).collect();
        let ids: Vec<String> = letters.iter().map(|(entry, _)| entry.id.clone()).collect();
        self.kept.lost += asked - letters.len() as u64;
        let Some(parcel) = self.vault.put(letters).await? else { return Ok(()) };
        let (count, bytes) = (parcel.letters, parcel.bytes);
        metrics::archived(&parcel.pipeline, &parcel.stage, count, bytes);
        self.acts.note(&ids, &Deed::Archived { parcel: Box::new(parcel) }).await?;
        self.kept.letters += count;
        self.kept.objects += 1;
        self.kept.bytes += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_old_enough_or_soon_deleted() {
        let now: Timestamp = "2026-02-01T00:00:00Z".parse().expect("a time");
        let mut archive: Archive =
            serde_json::from_value(serde_json::json!({ "to": "a" })).expect("settings");
        let hours = |hours: u64| Some(Span::secs(hours * 3600));
        let mut retention = Retention { keep: hours(48), archive: true, ..Retention::default() };
        let [soon] = due(&archive, &retention, now).try_into().expect("one");
        assert_eq!(soon.logged_before, Some("2026-01-30T12:00:00Z".parse().expect("a time")));
        assert_eq!((soon.kept.as_slice(), soon.until), ([Place::Kafka].as_slice(), None));
        archive.after = hours(24);
        let [_, old] = due(&archive, &retention, now).try_into().expect("two");
        assert_eq!(
            (old.until, old.logged_before),
            (Some("2026-01-31T00:00:00Z".parse().expect("a time")), None)
        );
        retention.keep = hours(1);
        let soon = &due(&archive, &retention, now)[0];
        assert_eq!(soon.logged_before, Some(now), "at once, when Kafka keeps them for less than that");
        retention.keep = None;
        assert_eq!(due(&archive, &retention, now).len(), 1);
        retention.archive = false;
        assert!(due(&archive, &retention, now).is_empty());
    }
}
