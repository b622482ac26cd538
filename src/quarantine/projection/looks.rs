//! Which letters somebody has looked at: because of what was done with them, or with their groups. Pure, but for reading the
//! acts.

use std::collections::HashMap;

use super::shelf::Shelf;
use super::tally::place;
use crate::quarantine::{Act, Deed};

/// Up to when what died in a group counts as looked at, milliseconds since 1970; `None` for nothing. `acts` are those on the
/// group, in order: whatever a person does with it is a look, and when it is said to be resolved, what dies later needs
/// another one.
pub fn looked_until<'a>(acts: impl IntoIterator<Item = &'a Act>) -> Option<i64> {
    acts.into_iter().fold(None, |until, act| match act.deed {
        Deed::Resolved => Some(act.at.as_millisecond()),
        _ if act.is_by_person() => Some(i64::MAX),
        _ => until,
    })
}

/// The same for every group, by the number of its fingerprint.
#[derive(Debug, Default)]
pub struct Looks(Vec<Option<i64>>);

impl Looks {
    pub async fn of_all<S: Shelf>(shelf: &mut S) -> Result<Self, S::Error> {
        let mut acts: HashMap<i64, Vec<Act>> = HashMap::new();
        for (print, act) in shelf.acts_on_all_groups().await? {
            acts.entry(print).or_default().push(act);
        }
        let mut looks = Vec::new();
        for (print, acts) in acts {
            *place(&mut looks, print, None) = looked_until(&acts);
        }
        Ok(Self(looks))
    }

    /// Whether a letter with this number of its fingerprint, that died then, counts as looked at because of its group.
    #[inline]
    pub fn has(&self, print: i64, died: i64) -> bool {
        let until = usize::try_from(print).ok().and_then(|n| self.0.get(n)).copied().flatten();
        Some(died) <= until
    }
}
