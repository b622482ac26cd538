//! What acts make of a letter, and of a group. Pure.

use jiff::Timestamp;

use crate::quarantine::{Act, Deed, State};

/// What acts make of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    /// Code and class that somebody gave it.
    pub verdict: Option<(String, String)>,
    /// A person has done something with it.
    pub looked_at: bool,
}

impl Standing {
    /// `acts` are those on the letter, in order. For the others see [`State::of`].
    pub fn of(acts: &[Act], again: bool, gone: bool) -> Self {
        let verdict = acts.iter().rev().find_map(|act| match &act.deed {
            Deed::Reclassified { code, class } => Some((code.clone(), class.clone())),
            _ => None,
        });
        let looked_at = acts.iter().any(Act::is_by_person);
        Self { state: State::of(acts, again, gone), verdict, looked_at }
    }
}

/// What acts say of a group: the last word on each thing counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Care {
    pub note: Option<String>,
    pub owner: Option<String>,
    pub ticket: Option<String>,
    pub resolved_at: Option<Timestamp>,
}

impl Care {
    /// `acts` are those on the group, in order.
    pub fn of(acts: &[Act]) -> Self {
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let mut care = Self::default();
        for act in acts {
            match &act.deed {
                Deed::Noted { text } => care.note = said(text),
                Deed::Assigned { owner } => care.owner = said(owner),
                Deed::Linked { ticket } => care.ticket = said(ticket),
                Deed::Resolved => care.resolved_at = Some(act.at),
                _ => {}
            }
        }
        care
    }
}
