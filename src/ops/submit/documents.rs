//! Files and folders as documents.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Body, Item, Loaded, SubmitError, usage};
use crate::config::{Config, Format, Size};
use crate::message::JobId;
use crate::message::payload::Document;
use crate::ops::advice::Advice;
use crate::ops::dlq::explain::printable;

/// Documents up to this size travel in the record; larger ones by reference.
pub const INLINE_MAX: Size = Size::kib(512);
/// Most files of one submission.
pub const FILES_MAX: usize = 100_000;
/// Deepest folder below a path that was named.
const DEPTH_MAX: usize = 64;

/// A file to submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentFile {
    pub path: PathBuf,
    /// Path below the folder that was named, with `/`; the file name for a file that was named.
    pub id: String,
    pub version: Option<i64>,
}

/// All files at or below the paths, ordered by id. Hidden files and folders are passed over, and links to folders
/// are not followed. What else is passed over is told in the log.
pub fn find(paths: &[PathBuf], version: Option<i64>) -> Result<Vec<DocumentFile>, SubmitError> {
    let search = search(paths)?;
    if let Some(first) = search.passed_over.first() {
        let (number, first) = (search.passed_over.len(), shown(first));
        tracing::warn!(
            number,
            first,
            "passed over what is no file: links that lead nowhere, pipes, sockets, devices"
        );
    }
    if search.found.is_empty() {
        let places: Vec<_> = paths.iter().map(|p| shown(p)).collect();
        return Err(SubmitError::Nothing(Advice::new(
            format!("there are no documents in {}", places.join(", ")),
            "name files, or folders that have files; hidden ones do not count",
        )));
    }
    Ok(search.found.into_iter().map(|(id, path)| DocumentFile { path, id, version }).collect())
}

/// What a search has come upon.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) found: BTreeMap<String, PathBuf>,
    /// Neither files nor folders, hidden ones left out.
    pub(super) passed_over: Vec<PathBuf>,
}

pub(super) fn search(paths: &[PathBuf]) -> Result<Search, SubmitError> {
    let mut search = Search::default();
    for path in paths {
        let kind = fs::metadata(path).map_err(|source| read_error(path, source))?;
        if kind.is_dir() {
            search.walk(path, "", 0)?;
        } else if !kind.is_file() {
            return Err(usage(
                format!("{} is neither a file nor a folder", shown(path)),
                "name files and folders",
            ));
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            search.insert(name, path.clone())?;
        }
    }
    Ok(search)
}

impl Search {
    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), SubmitError> {
        if depth > DEPTH_MAX {
            return Err(usage(
                format!("{} lies more than {DEPTH_MAX} folders deep", shown(folder)),
                "name a folder nearer to it",
            ));
        }
        let entries = fs::read_dir(folder).map_err(|source| read_error(folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| read_error(folder, source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let (path, id) = (entry.path(), format!("{prefix}{name}"));
            let kind = entry.file_type().map_err(|source| read_error(&path, source))?;
            if kind.is_dir() {
                self.walk(&path, &format!("{id}/"), depth + 1)?;
                continue;
            }
            match fs::metadata(&path) {
                Ok(target) if target.is_file() => self.insert(id, path)?,
                // A link to a folder, which is not followed.
                Ok(target) if target.is_dir() => {}
                // A file that went away is told when it is read.
                Err(_) if kind.is_file() => self.insert(id, path)?,
                _ => self.passed_over.push(path),
            }
        }
        Ok(())
    }

    fn insert(&mut self, id: String, path: PathBuf) -> Result<(), SubmitError> {
        if self.found.len() >= FILES_MAX {
            return Err(usage(
                format!("there are more than {FILES_MAX} documents"),
                "submit folder by folder",
            ));
        }
        if let Some(other) = self.found.get(&id) {
            let (one, other, id) = (shown(other), shown(&path), printable(&id));
            return Err(usage(
                format!("{one} and {other} would both be document '{id}', and one would replace the other"),
                "name the folder above them",
            ));
        }
        self.found.insert(id, path);
        Ok(())
    }
}

impl Item for DocumentFile {
    fn resource(&self) -> Option<String> {
        Some(self.id.clone())
    }

    fn load(self, format: Format, tenant: &str, _: &JobId) -> Result<Loaded, SubmitError> {
        let file_name = self.path.file_name().map(|n| n.to_string_lossy().into_owned());
        let media_type = media_type(&self.path);
        let inline = self.read_inline()?;
        if format == Format::Bytes {
            let body = Body::Bytes(inline.ok_or_else(|| self.too_large_for_bytes())?);
            return Ok(Loaded { body, content_type: media_type, file_name });
        }
        let mut document = Document {
            id: self.id.clone(),
            tenant: tenant.to_owned(),
            version: self.version,
            file_name,
            media_type: media_type.map(str::to_owned),
            ..Document::default()
        };
        match inline {
            Some(bytes) => document.content = Some(STANDARD.encode(bytes)),
            None => document.uri = Some(self.file_url()?),
        }
        Loaded::payload(&document)
    }

    fn check(files: &[Self], config: &Config, format: Format) -> Result<(), SubmitError> {
        let roots = config.sources.file_roots.iter().filter_map(|root| root.canonicalize().ok());
        let roots: Vec<PathBuf> = roots.collect();
        let mut refused = files.iter().filter(|file| match format {
            Format::Bytes => file.is_large(),
            Format::Json | Format::Avro => file.is_large() && !file.is_below(&roots),
        });
        match refused.next() {
            None => Ok(()),
            Some(first) if format == Format::Bytes => Err(first.too_large_for_bytes()),
            Some(first) => Err(first.out_of_bounds(refused.count())),
        }
    }
}

impl DocumentFile {
    /// By its metadata; what has none is told when it is read.
    fn is_large(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| file.len() > INLINE_MAX.0)
    }

    fn is_below(&self, roots: &[PathBuf]) -> bool {
        fs::canonicalize(&self.path).is_ok_and(|path| roots.iter().any(|root| path.starts_with(root)))
    }

    fn out_of_bounds(&self, others: usize) -> SubmitError {
        let more = if others > 0 { format!(" (and {others} more like it)") } else { String::new() };
        usage(
            format!(
                "{}{more} is larger than {INLINE_MAX} and would travel as a reference, but lies below none of the \
                 folders that stages may read (sources.file_roots)",
                shown(&self.path)
            ),
            "add its folder to sources.file_roots; the stages must be able to read it there",
        )
    }

    /// The bytes of a file that is small enough to travel in the record. Never reads more than that.
    fn read_inline(&self) -> Result<Option<Vec<u8>>, SubmitError> {
        let read = || {
            let mut bytes = Vec::new();
            fs::File::open(&self.path)?.take(INLINE_MAX.0 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|e| read_error(&self.path, e))?;
        Ok((bytes.len() as u64 <= INLINE_MAX.0).then_some(bytes))
    }

    fn too_large_for_bytes(&self) -> SubmitError {
        let path = shown(&self.path);
        usage(
            format!("{path} is larger than {INLINE_MAX}, and the input topic takes documents as bytes"),
            "give the topic the format json, which can refer to files",
        )
    }

    fn file_url(&self) -> Result<String, SubmitError> {
        let path = fs::canonicalize(&self.path).map_err(|e| read_error(&self.path, e))?;
        let url = url::Url::from_file_path(&path)
            .map_err(|()| usage(format!("{} has no absolute path", shown(&path)), "move it"))?;
        Ok(url.into())
    }
}

/// The media type that the file's extension stands for; the parser looks at the bytes anyway.
fn media_type(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "pdf" => "application/pdf",
        "html" | "htm" | "xhtml" => "text/html",
        "md" | "markdown" => "text/markdown",
        "txt" | "text" | "log" => "text/plain",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "json" => "application/json",
        "csv" => "text/csv",
        "xml" => "application/xml",
        _ => return None,
    })
}

fn read_error(path: &Path, source: io::Error) -> SubmitError {
    SubmitError::Read { place: shown(path), source }
}

/// A path for a message: a file may be named so that it would steer the terminal.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
