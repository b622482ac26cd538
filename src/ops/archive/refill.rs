//! Letters that an index does not know although they are archived: Kafka had deleted them before it was built. What stands in
//! the archive is read as if it were read from Kafka, so that a rebuild gives what was there before.

use std::collections::HashSet;
use std::sync::Arc;

use super::vault::{Vault, VaultError};
use crate::config::Config;
use crate::ops::quarantine::{FollowError, Sources};
use crate::quarantine::{Act, Batch, Deed, Entry, Quarantine};

/// The objects that these acts say something of.
pub fn objects(acts: &[(i64, Act)]) -> impl Iterator<Item = String> + '_ {
    acts.iter().filter_map(|(_, act)| match &act.deed {
        Deed::Archived { parcel } => Some(parcel.object.clone()),
        _ => None,
    })
}

/// Takes in what is not known of these objects; how many letters that were.
pub async fn refill(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    objects: impl IntoIterator<Item = String>,
) -> Result<u64, FollowError> {
    let sources = Sources::of(config);
    let (mut vault, mut all, mut unread) = (None, 0, 0);
    for object in objects {
        let Some((parcel, ids)) = index.parcel(&object).await? else { continue };
        let known = index.get(&ids).await?.into_iter();
        let known: HashSet<String> = known.map(|known| known.entry.id).collect();
        let missing = ids.iter().filter(|id| !known.contains(*id)).count();
        if missing == 0 {
            continue;
        }
        if vault.is_none() {
            vault = Vault::open(config).map_err(FollowError::archive)?;
        }
        let Some(vault) = &vault else {
            unread += missing;
            continue;
        };
        let letters = match vault.letters(&parcel).await {
            Ok(letters) => letters,
            // A folder that is not mounted has nothing at all.
            Err(VaultError::Damaged { .. })
                if vault.objects().await.map_err(FollowError::archive)?.is_empty() =>
            {
                let why = format!("there is nothing in '{}': is it the archive?", vault.place());
                return Err(FollowError::Archive(why));
            }
            // What cannot be read any more must not keep what can be from being read.
            Err(error @ VaultError::Damaged { .. }) => {
                tracing::error!(
                    object,
                    letters = missing,
                    "what these archived dead letters were is lost: {error}"
                );
                continue;
            }
            Err(error) => return Err(FollowError::archive(error)),
        };
        let entries: Vec<Entry> = letters
            .into_iter()
            .filter(|letter| !known.contains(&letter.id))
            .map(|letter| sources.entry(&letter.record))
            .collect();
        all += entries.len() as u64;
        index.apply(Batch { entries, gone: true, rules: sources.rules(), ..Batch::default() }).await?;
    }
    if unread > 0 {
        tracing::warn!(
            letters = unread,
            "dead letters stand in an archive that the configuration does not name: what they were is not known"
        );
    }
    Ok(all)
}
