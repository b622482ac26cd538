//! What acts make of a letter, and of a group. What was said of them is in `remarks`. Pure.

use jiff::Timestamp;

use crate::quarantine::{Act, Deed, Kept, State, parcels};

/// What acts make of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    /// Code and class that somebody gave it.
    pub verdict: Option<(String, String)>,
    /// A person has done something with it.
    pub looked_at: bool,
    pub kept: Kept,
}

impl Standing {
    /// `acts` are those on the letter, in order. For the others see [`State::of`].
    pub fn of(acts: &[Act], again: bool, gone: bool) -> Self {
        let verdict = acts.iter().rev().find_map(|act| match &act.deed {
            Deed::Reclassified { code, class } => Some((code.clone(), class.clone())),
            _ => None,
        });
        let looked_at = acts.iter().any(Act::is_by_person);
        let kept = Kept::of(gone, !parcels(acts).is_empty());
        Self { state: State::of(acts, again, gone), verdict, looked_at, kept }
    }
}

/// When the cause of a group was last said to be removed. `acts` are those on the group, in order.
pub fn resolved_at(acts: &[Act]) -> Option<Timestamp> {
    acts.iter().rev().find(|act| act.deed == Deed::Resolved).map(|act| act.at)
}
