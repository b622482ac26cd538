//! Where a dead letter is, as a function of what was done with it and of what became of its job. Pure: the order in
//! which topics were read does not matter.

use serde::{Deserialize, Serialize};

use super::act::{Act, Deed, Outcome};
use super::parcel::parcels;

/// See the module.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody has to look at it.
    Open,
    /// Sent back; nobody knows yet what became of it.
    Redriving,
    /// Sent back, and its job is done.
    Resolved,
    /// Sent back, and its job died again: the later letter is the one to look at.
    Superseded,
    /// Given up by a named person or rule.
    Discarded,
    /// Kafka deleted it before anybody did anything, and it is not in the archive.
    Expired,
}

impl State {
    pub const ALL: [State; 6] =
        [State::Open, State::Redriving, State::Resolved, State::Superseded, State::Discarded, State::Expired];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Redriving => "redriving",
            State::Resolved => "resolved",
            State::Superseded => "superseded",
            State::Discarded => "discarded",
            State::Expired => "expired",
        }
    }

    /// The state with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// `acts` are those on this letter, in the order of their topic. `died_again`: the index has a later letter of the
    /// same job and stage, one that was redriven more often. `gone`: it is no longer on its topic.
    pub fn of<'a>(
        acts: impl IntoIterator<Item = &'a Act, IntoIter: Clone>,
        died_again: bool,
        gone: bool,
    ) -> Self {
        let acts = acts.into_iter();
        let state = acts.clone().fold(State::Open, |state, act| state.after(&act.deed));
        match state {
            // That it died again is known from Kafka, whatever was noted or not.
            State::Open | State::Redriving | State::Resolved if died_again => State::Superseded,
            State::Open if gone && parcels(acts).is_empty() => State::Expired,
            state => state,
        }
    }

    /// What a deed makes of it.
    pub fn after(self, deed: &Deed) -> Self {
        match (deed, self) {
            (Deed::Redriven, _) => State::Redriving,
            (Deed::Settled { outcome: Outcome::Succeeded | Outcome::Skipped }, _) => State::Resolved,
            (Deed::Settled { outcome: Outcome::FailedAgain }, _) => State::Superseded,
            (Deed::Settled { outcome: Outcome::Returned }, _) | (Deed::Restored, State::Discarded) => {
                State::Open
            }
            (Deed::Discarded, _) => State::Discarded,
            (_, state) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::contract::parcel;

    fn acts(deeds: &[Deed]) -> Vec<Act> {
        let act = |deed: &Deed| Act {
            id: String::new(),
            operation: String::new(),
            at: jiff::Timestamp::UNIX_EPOCH,
            by: "ada".into(),
            reason: None,
            letters: Vec::new(),
            group: None,
            deed: deed.clone(),
        };
        deeds.iter().map(act).collect()
    }

    fn settled(outcome: Outcome) -> Deed {
        Deed::Settled { outcome }
    }

    fn of(deeds: &[Deed]) -> State {
        State::of(&acts(deeds), false, false)
    }

    #[test]
    fn a_letter_that_nobody_touched_is_open() {
        assert_eq!(of(&[]), State::Open);
    }

    #[test]
    fn what_was_sent_back_is_where_its_outcome_says() {
        assert_eq!(of(&[Deed::Redriven]), State::Redriving);
        for (outcome, state) in [
            (Outcome::Succeeded, State::Resolved),
            (Outcome::Skipped, State::Resolved),
            (Outcome::FailedAgain, State::Superseded),
            (Outcome::Returned, State::Open),
        ] {
            assert_eq!(of(&[Deed::Redriven, settled(outcome)]), state, "{outcome:?}");
        }
        assert_eq!(of(&[Deed::Redriven, settled(Outcome::Returned), Deed::Redriven]), State::Redriving);
    }

    #[test]
    fn only_what_was_discarded_can_be_restored() {
        assert_eq!(of(&[Deed::Discarded]), State::Discarded);
        assert_eq!(of(&[Deed::Discarded, Deed::Restored]), State::Open);
        assert_eq!(of(&[Deed::Redriven, Deed::Restored]), State::Redriving);
        assert_eq!(of(&[Deed::Restored, Deed::Discarded]), State::Discarded);
    }

    #[test]
    fn words_move_nothing() {
        let words = [
            Deed::Reclassified { code: "a.b".into(), class: "permanent".into() },
            Deed::Noted { text: "hm".into() },
            Deed::Assigned { owner: "ada".into() },
            Deed::Linked { ticket: "T-1".into() },
            Deed::Unedited { edit: "act".into() },
            Deed::Resolved,
        ];
        assert_eq!(of(&words), State::Open);
        for word in words {
            assert_eq!(of(&[Deed::Discarded, word]), State::Discarded);
        }
    }

    #[test]
    fn that_the_job_died_again_counts_unless_somebody_gave_the_letter_up() {
        for (deeds, state) in [
            (vec![], State::Superseded),
            (vec![Deed::Redriven], State::Superseded),
            (vec![settled(Outcome::Succeeded)], State::Superseded),
            (vec![settled(Outcome::FailedAgain)], State::Superseded),
            (vec![Deed::Discarded], State::Discarded),
        ] {
            for gone in [false, true] {
                assert_eq!(State::of(&acts(&deeds), true, gone), state, "{deeds:?}");
            }
        }
    }

    #[test]
    fn only_what_is_open_expires() {
        for (deeds, state) in [
            (vec![], State::Expired),
            (vec![Deed::Redriven, settled(Outcome::Returned)], State::Expired),
            (vec![Deed::Redriven], State::Redriving),
            (vec![settled(Outcome::Skipped)], State::Resolved),
            (vec![Deed::Discarded], State::Discarded),
        ] {
            assert_eq!(State::of(&acts(&deeds), false, true), state, "{deeds:?}");
        }
    }

    #[test]
    fn what_is_open_and_archived_does_not_expire_as_long_as_a_copy_is_there() {
        let archived = |object: &str| Deed::Archived { parcel: Box::new(parcel(object)) };
        let unarchived = |object: &str| Deed::Unarchived { object: object.into() };
        let gone = |deeds: &[Deed]| State::of(&acts(deeds), false, true);
        assert_eq!(gone(&[archived("a")]), State::Open);
        assert_eq!(gone(&[archived("a"), unarchived("a")]), State::Expired);
        assert_eq!(gone(&[archived("a"), archived("b"), unarchived("a")]), State::Open);
        assert_eq!(gone(&[archived("a"), unarchived("a"), archived("a")]), State::Open);
        assert_eq!(gone(&[archived("a"), Deed::Redriven]), State::Redriving);
        assert_eq!(gone(&[archived("a"), Deed::Discarded, unarchived("a")]), State::Discarded);
        assert_eq!(of(&[archived("a"), unarchived("a")]), State::Open, "Kafka has it");
    }

    #[test]
    fn states_are_counted_in_the_order_of_the_list_of_all() {
        for (n, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, n);
        }
    }
}
