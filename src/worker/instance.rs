//! The name under which a process holds leases in the ledger. Two living processes never share one, because the
//! later one would void the leases of the earlier; a process that was killed leaves its name free at once. Beside a file
//! a name is a locked file, in a database a lock of a session ([`names`]).

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::Selection;
use crate::config::Config;
use crate::ledger::LedgerError;
use crate::ledger::postgres::Predecessor;
use crate::ledger::postgres::names::{self, Name};

/// Names tried when the configuration gives none: `host`, `host-2`, …
const NAMES_MAX: usize = 64;

/// A name, locked by this process until it is dropped.
#[derive(Debug)]
pub struct Instance {
    name: String,
    lock: Lock,
}

#[derive(Debug)]
enum Lock {
    None,
    File { _locked: File },
    Database(Name),
}

/// No name could be had.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    #[error(
        "another lazaret runs as instance '{name}' with the ledger {ledger}; give each process its own `instance`"
    )]
    Taken { name: String, ledger: String },
    #[error("more than {NAMES_MAX} processes use the ledger {0}; give each process its own `instance`")]
    TooMany(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("ledger.path: {0} is a file, and the ledger needs a folder there; name another one")]
    NoFolder(PathBuf),
    #[error("ledger.path: cannot write to {path}: {cause}; make the folder writable or name another one")]
    Unwritable { path: PathBuf, cause: std::io::Error },
}

impl Instance {
    /// The configured name, or the first free one made of host, pipeline and stage.
    pub async fn claim(config: &Config, which: &Selection) -> Result<Self, InstanceError> {
        let names = match &config.instance {
            Some(name) => vec![name.clone()],
            None => candidates(which),
        };
        let ledger = match &config.ledger.postgres {
            Some(postgres) => {
                if let Some(name) = names::Name::claim(postgres, &names).await? {
                    return Ok(Self { name: name.name().to_owned(), lock: Lock::Database(name) });
                }
                "in PostgreSQL".to_owned()
            }
            None => {
                let ledger = &config.ledger.path;
                for name in &names {
                    if let Some(instance) = lock(ledger, name)? {
                        return Ok(instance);
                    }
                }
                ledger.display().to_string()
            }
        };
        match config.instance.clone() {
            Some(name) => Err(InstanceError::Taken { name, ledger }),
            None => Err(InstanceError::TooMany(ledger)),
        }
    }

    /// A name that nobody else may have, where no ledger's folder could tell.
    pub fn unlocked(name: impl Into<String>) -> Self {
        Self { name: name.into(), lock: Lock::None }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of the process that had the name before. A file is free only when it has ended.
    pub fn predecessor(&self) -> Predecessor {
        match &self.lock {
            Lock::Database(name) => name.predecessor(),
            Lock::None | Lock::File { .. } => Predecessor::Gone,
        }
    }

    /// Gives the name up in good order.
    pub async fn leave(self) {
        if let Lock::Database(name) = self.lock {
            name.leave().await;
        }
    }
}

/// `host`, `host-2`, …
fn candidates(which: &Selection) -> Vec<String> {
    let base = [Some(host()), which.pipeline.clone(), which.stage.clone()];
    let base = base.into_iter().flatten().collect::<Vec<_>>().join(".");
    (1..=NAMES_MAX).map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") }).collect()
}

/// `None` when a living process has it.
fn lock(ledger: &Path, name: &str) -> Result<Option<Instance>, InstanceError> {
    let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let mut path = ledger.as_os_str().to_owned();
    path.push(format!(".{safe}.lock"));
    let path = PathBuf::from(path);
    let unwritable = |cause| InstanceError::Unwritable { path: path.clone(), cause };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|cause| match folder.exists() {
            true => InstanceError::NoFolder(folder.to_owned()),
            false => unwritable(cause),
        })?;
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Instance { name: name.to_owned(), lock: Lock::File { _locked: file } })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(unwritable(cause)),
    }
}

pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "lazaret".into() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path, instance: Option<&str>) -> Config {
        let text = format!(
            "{}\nledger: {{ path: {}/ledger.db }}\nversion: 1\nkafka: {{ bootstrap: 'localhost:1' }}\npipelines: {{}}\n",
            instance.map(|name| format!("instance: {name}")).unwrap_or_default(),
            folder.display(),
        );
        serde_saphyr::from_str(&text).expect("a configuration")
    }

    #[tokio::test]
    async fn processes_without_a_configured_name_get_different_ones_and_a_free_name_is_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), None);
        let first = Instance::claim(&config, &Selection::all()).await.expect("a name");
        let second = Instance::claim(&config, &Selection::all()).await.expect("a name");
        assert_eq!(second.name(), format!("{}-2", first.name()));
        let name = first.name().to_owned();
        drop(first);
        assert_eq!(Instance::claim(&config, &Selection::all()).await.expect("a name").name(), name);
    }

    #[tokio::test]
    async fn a_configured_name_that_is_in_use_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), Some("blue"));
        let _first = Instance::claim(&config, &Selection::all()).await.expect("a name");
        let refused = Instance::claim(&config, &Selection::all()).await;
        let refused = refused.expect_err("the name is taken").to_string();
        assert!(refused.contains("'blue'") && refused.contains("instance"), "{refused}");
    }
}
