//! How much room there is where files grow.

use std::path::{Path, PathBuf};

use super::{Finding, Health};
use crate::config::Size;

/// With less, SQLite fails within hours under load.
const FREE_MIN: u64 = 1 << 30;

/// The room of the file system on which this folder is, or will be.
pub fn look(folder: &Path) -> Finding {
    let which = folder.display().to_string();
    match rustix::fs::statvfs(there(folder)) {
        Ok(room) => judge(
            which,
            room.f_bavail.saturating_mul(room.f_frsize),
            room.f_blocks.saturating_mul(room.f_frsize),
        ),
        Err(error) => Finding::ok("disk", which, format!("it cannot be looked at: {error}"))
            .bad(Health::Failed, "make the folder, or let this user read it"),
    }
}

/// The nearest folder above that is there; an empty path is the one in which the program runs.
fn there(folder: &Path) -> PathBuf {
    let mut folders = folder.ancestors().filter(|one| one.exists());
    folders.next().filter(|one| !one.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

fn judge(which: String, free: u64, all: u64) -> Finding {
    let which = if which.is_empty() { ".".to_owned() } else { which };
    // To the mebibyte, or all digits would be shown.
    let told = |bytes: u64| Size(bytes >> 20 << 20);
    let finding = Finding::ok("disk", which, format!("{} of {} are free", told(free), told(all)));
    match free < FREE_MIN || free < all / 50 {
        true => {
            finding.bad(Health::Warning, "make room: stages pause when ledger or index cannot be written")
        }
        false => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_told_and_a_folder_that_is_not_there_yet_is_looked_at_from_above() {
        assert_eq!(judge("data".into(), 2 << 30, 50 << 30).health, Health::Ok);
        assert_eq!(judge("data".into(), 1 << 29, 50 << 30).health, Health::Warning);
        assert_eq!(
            judge("data".into(), 3 << 30, 500 << 30).health,
            Health::Warning,
            "2 % of much is little, too"
        );
        assert_eq!(there(Path::new("nowhere/at/all")), PathBuf::from("."));
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(there(&folder.path().join("a/b")), folder.path());
    }
}
