//! What people said of a letter, or of a group as a whole. Plain data.

use serde::Serialize;

use super::act::{Act, Deed};

/// The last word on each thing counts; an empty one takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Remarks {
    pub note: Option<String>,
    /// Who looks after it.
    pub owner: Option<String>,
    /// A ticket elsewhere that is about it.
    pub ticket: Option<String>,
}

impl Remarks {
    /// `acts` are those on the letter, or on the group, in the order of their topic.
    pub fn of<'a>(acts: impl IntoIterator<Item = &'a Act>) -> Self {
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let mut remarks = Self::default();
        for act in acts {
            match &act.deed {
                Deed::Noted { text } => remarks.note = said(text),
                Deed::Assigned { owner } => remarks.owner = said(owner),
                Deed::Linked { ticket } => remarks.ticket = said(ticket),
                _ => {}
            }
        }
        remarks
    }
}
