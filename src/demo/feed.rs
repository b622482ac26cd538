//! What the demonstration is fed with: the files of a folder, as references, and questions. Starts nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use super::corpus;
use crate::config::Format;
use crate::message::JobId;
use crate::message::payload::Document;
use crate::ops::submit::documents::{self, DocumentFile};
use crate::ops::submit::questions::{self, Asked};
use crate::ops::submit::{Body, Item, Loaded, SubmitError};

/// The files of a folder, and the folder itself without links and dots.
#[derive(Clone, Debug)]
pub struct Library {
    pub root: PathBuf,
    pub files: Vec<Reference>,
    /// These are the documents that come with the program.
    pub is_shipped: bool,
}

/// A file that is submitted by its address. The embedded broker keeps only some megabytes of a partition, and a
/// file that cannot be read or is too large is a dead letter like any other.
#[derive(Clone, Debug)]
pub struct Reference {
    id: String,
    /// Below the root, links not resolved: what may be read is the stage's to say.
    path: PathBuf,
}

impl Library {
    /// Finds all files below the folder.
    pub fn open(folder: &Path) -> Result<Self, SubmitError> {
        let failed = |source| SubmitError::Read { place: folder.display().to_string(), source };
        let root = fs::canonicalize(folder).map_err(failed)?;
        if !root.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let reference = |file: DocumentFile| Reference { id: file.id, path: file.path };
        let files = documents::find(std::slice::from_ref(&root), None)?;
        Ok(Self { root, files: files.into_iter().map(reference).collect(), is_shipped: false })
    }

    /// Writes the corpus that comes with the program, and opens it.
    pub fn shipped(folder: &Path) -> Result<Self, SubmitError> {
        let failed = |source| SubmitError::Read { place: folder.display().to_string(), source };
        corpus::write(folder).map_err(failed)?;
        Ok(Self { is_shipped: true, ..Self::open(folder)? })
    }
}

impl Item for Reference {
    fn resource(&self) -> Option<String> {
        Some(self.id.clone())
    }

    fn load(self, _: Format, tenant: &str, _: &JobId) -> Result<Loaded, SubmitError> {
        let no_address = || SubmitError::Read {
            place: self.path.display().to_string(),
            source: io::ErrorKind::InvalidFilename.into(),
        };
        let uri = Url::from_file_path(&self.path).map_err(|()| no_address())?;
        let file_name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let document = Document {
            id: self.id.clone(),
            tenant: tenant.to_owned(),
            file_name,
            uri: Some(uri.into()),
            ..Document::default()
        };
        let payload = serde_json::to_value(&document).map_err(|_| no_address())?;
        Ok(Loaded { body: Body::Payload(payload), content_type: Some("application/json"), file_name: None })
    }
}

/// The questions that come with the program.
pub fn shipped_questions() -> Result<Vec<Asked>, SubmitError> {
    questions::parse(corpus::QUESTIONS, "the demonstration's questions")
}

/// Gives those questions that have no id a number, for the report.
pub fn numbered(mut asked: Vec<Asked>) -> Vec<Asked> {
    for (n, question) in asked.iter_mut().enumerate() {
        question.id.get_or_insert_with(|| format!("q{}", n + 1));
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_submitted_by_its_address_under_its_path_below_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a b")).unwrap();
        fs::write(folder.path().join("a b/ü.txt"), "text").unwrap();
        fs::write(folder.path().join(".hidden"), "text").unwrap();
        let library = Library::open(&folder.path().join("a b/..")).unwrap();
        assert_eq!(library.files.len(), 1);
        let loaded = library.files[0].clone().load(Format::Json, "t", &JobId("j".into())).unwrap();
        let Body::Payload(document) = loaded.body else { panic!("a payload") };
        let document: Document = serde_json::from_value(document).unwrap();
        assert_eq!(document.id, "a b/ü.txt");
        assert!(document.uri.unwrap().ends_with("/a%20b/%C3%BC.txt"));
        assert_eq!((document.file_name.as_deref(), document.content), (Some("ü.txt"), None));
    }

    #[test]
    fn a_file_is_no_folder_of_documents() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Library::open(file.path()), Err(SubmitError::Read { .. })));
        let nowhere = file.path().with_extension("gone");
        assert!(matches!(Library::open(&nowhere), Err(SubmitError::Read { .. })));
    }

    #[test]
    fn the_shipped_questions_know_their_documents() {
        let asked = shipped_questions().unwrap();
        assert!(asked.iter().all(|q| q.document.is_some() && q.id.is_some()));
    }

    #[test]
    fn questions_without_an_id_are_numbered() {
        let asked = vec![questions::ask("Why?").unwrap(), questions::ask("How?").unwrap()];
        let ids: Vec<_> = numbered(asked).into_iter().filter_map(|q| q.id).collect();
        assert_eq!(ids, ["q1", "q2"]);
    }
}
