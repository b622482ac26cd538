//! Questions about what stands in the archive, and their answers.

use std::collections::HashMap;

use super::row::clean;
use super::shelf::Shelf;
use crate::quarantine::{Act, Deed, Parcel, parcels};

/// Most objects of one answer.
const ANSWER_MAX: usize = 1000;

/// Those that stand. What was deleted stays known, so that a page may have to go over some.
pub async fn parcels_after<S: Shelf>(
    shelf: &mut S,
    after: &str,
    limit: usize,
) -> Result<Vec<Parcel>, S::Error> {
    let limit = limit.min(ANSWER_MAX);
    let (mut found, mut after) = (Vec::new(), clean(after).into_owned());
    while found.len() < limit {
        let objects = shelf.objects_after(&after, ANSWER_MAX).await?;
        let Some(last) = objects.last() else { break };
        after = last.clone();
        let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
        for (object, act) in shelf.acts_on_objects(&objects).await? {
            acts.entry(object).or_default().push(act);
        }
        found.extend(objects.iter().filter_map(|object| parcels(acts.get(object)?).pop().cloned()));
    }
    found.truncate(limit);
    Ok(found)
}

/// The object, with the ids of its letters, unless it is deleted.
pub async fn parcel<S: Shelf>(
    shelf: &mut S,
    object: &str,
) -> Result<Option<(Parcel, Vec<String>)>, S::Error> {
    let last = shelf.acts_on_object(&clean(object)).await?.pop();
    Ok(last.and_then(|act| match act.deed {
        Deed::Archived { parcel } => Some((*parcel, act.letters)),
        _ => None,
    }))
}
