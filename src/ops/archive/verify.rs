//! Whether every object of the archive is what the acts and its manifest say, and what stands there that nothing names.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ArchiveError, Vault, VaultError};
use crate::ops::quarantine::pages;
use crate::quarantine::{Parcel, Quarantine};

/// Objects that are asked for together.
const PAGE: usize = 100;
/// Objects without an act that are named.
const NAMED: usize = 20;

/// What was found of one object.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Checked {
    #[serde(flatten)]
    pub parcel: Parcel,
    #[serde(flatten)]
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    Good,
    /// It must not be used.
    Damaged {
        why: String,
    },
}

/// What was found of all of them.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Verified {
    pub objects: u64,
    pub letters: u64,
    pub bytes: u64,
    pub damaged: Vec<Checked>,
    /// Objects that no act names: whoever wrote them did not come to write it down, or died while they were deleted.
    pub strays: u64,
    /// The first of them.
    pub stray_objects: Vec<String>,
}

/// Reads every object, or this one. `progress` is told of each.
pub async fn verify(
    index: &Arc<dyn Quarantine>,
    vault: &Vault,
    object: Option<&str>,
    mut progress: impl FnMut(&Checked),
) -> Result<Verified, ArchiveError> {
    let mut found = Verified::default();
    let mut take = |found: &mut Verified, checked: Checked| {
        progress(&checked);
        found.objects += 1;
        found.letters += checked.parcel.letters;
        found.bytes += checked.parcel.bytes;
        if checked.verdict != Verdict::Good {
            found.damaged.push(checked);
        }
    };
    if let Some(object) = object {
        let (parcel, ids) = super::recall::object(&**index, object).await?;
        let verdict = check(vault, &parcel, &ids).await?;
        take(&mut found, Checked { parcel, verdict });
        return Ok(found);
    }
    // Listed before the acts are read: what is archived meanwhile has its act by then.
    let objects = vault.objects().await?;
    let (mut pages, mut named) = (pages::parcels(&**index, PAGE), HashSet::new());
    while let Some(parcels) = pages.try_next().await? {
        for parcel in parcels {
            named.insert(parcel.object.clone());
            let Some((_, ids)) = index.parcel(&parcel.object).await? else { continue };
            let verdict = check(vault, &parcel, &ids).await?;
            take(&mut found, Checked { parcel, verdict });
        }
    }
    let mut strays: Vec<String> = objects.into_iter().filter(|object| !named.contains(object)).collect();
    strays.sort();
    found.strays = strays.len() as u64;
    strays.truncate(NAMED);
    found.stray_objects = strays;
    Ok(found)
}

/// A store that cannot be asked is an error; an object that is not what it was is a finding.
async fn check(vault: &Vault, parcel: &Parcel, ids: &[String]) -> Result<Verdict, ArchiveError> {
    let damaged = |why: &str| Ok(Verdict::Damaged { why: why.to_owned() });
    let letters = match vault.letters(parcel).await {
        Ok(letters) => letters,
        Err(VaultError::Damaged { why, .. }) => return Ok(Verdict::Damaged { why }),
        Err(error) => return Err(error.into()),
    };
    if !letters.iter().map(|letter| &letter.id).eq(ids) {
        return damaged("it holds other letters than the act names");
    }
    match vault.manifest(&parcel.object).await? {
        None => damaged("its manifest is not there or cannot be read"),
        Some(manifest) if manifest != *parcel => damaged("its manifest says something else"),
        Some(_) => Ok(Verdict::Good),
    }
}
