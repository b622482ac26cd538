//! Documents in files. A file is read only when its real path, after all links, lies below an allowed root.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::{shown, too_large};
use crate::flow::{Code, Fault};

/// The folders below which files may be read.
#[derive(Clone, Debug)]
pub struct Files {
    roots: Arc<[PathBuf]>,
}

impl Files {
    pub fn below(roots: Vec<PathBuf>) -> Self {
        Self { roots: roots.into() }
    }

    pub async fn read(&self, url: Url, size_max: u64) -> Result<Vec<u8>, Fault> {
        self.off_the_runtime(move |files| {
            let path = files.locate(&url, size_max)?;
            read_at_most(&path, size_max).map_err(|e| failed(&url, &e))?.ok_or_else(|| {
                // It grew since it was looked at.
                too_large(&shown(&url), None, size_max)
            })
        })
        .await
    }

    /// Whether the file may be read and is not too large, by its metadata.
    pub async fn look(&self, url: Url, size_max: u64) -> Result<(), Fault> {
        self.off_the_runtime(move |files| files.locate(&url, size_max).map(drop)).await
    }

    /// File systems block, network file systems for long.
    async fn off_the_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let files = self.clone();
        tokio::task::spawn_blocking(move || work(&files))
            .await
            .map_err(|e| Fault::new(Code::StagePanicked, "reading a file panicked").caused_by(&e))?
    }

    /// The real path of a regular file below a root, not larger than the limit.
    fn locate(&self, url: &Url, size_max: u64) -> Result<PathBuf, Fault> {
        let path = url.to_file_path().map_err(|()| forbidden(url, "names another machine"))?;
        // Before the file system is asked: what exists outside the roots is nobody's business.
        let climbs = path.components().any(|c| c == Component::ParentDir);
        let real_roots: Vec<PathBuf> =
            self.roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
        let below = |path: &Path, roots: &[PathBuf]| roots.iter().any(|root| path.starts_with(root));
        if climbs || !(below(&path, &self.roots) || below(&path, &real_roots)) {
            return Err(forbidden(url, "is not below an allowed root (sources.file_roots)"));
        }
        let real = path.canonicalize().map_err(|e| failed(url, &e))?;
        if !below(&real, &real_roots) {
            return Err(forbidden(url, "is a link that leads out of the allowed roots (sources.file_roots)"));
        }
        let metadata = real.metadata().map_err(|e| failed(url, &e))?;
        if !metadata.is_file() {
            return Err(forbidden(url, "is a folder or a device, not a file"));
        }
        if metadata.len() > size_max {
            return Err(too_large(&shown(url), Some(metadata.len()), size_max));
        }
        Ok(real)
    }
}

/// `None` when there is more than the limit.
fn read_at_most(path: &Path, size_max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(size_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= size_max).then_some(bytes))
}

fn forbidden(url: &Url, why: &str) -> Fault {
    Fault::new(Code::SourceForbidden, format!("{} {why}", shown(url)))
}

fn failed(url: &Url, error: &io::Error) -> Fault {
    let code = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => Code::SourceNotFound,
        ErrorKind::PermissionDenied => Code::SourceDenied,
        // A path with a zero byte.
        ErrorKind::InvalidInput => Code::SourceForbidden,
        _ => Code::SourceUnavailable,
    };
    Fault::new(code, format!("cannot read {}", shown(url))).caused_by(error)
}
