//! Reads a secret from where the configuration says it stands. The value never appears in a message.

use std::io::Read;

use secrecy::SecretString;

use super::model::Secret;

/// Largest secret file, bytes; a larger one is some other file.
const FILE_MAX: u64 = 64 * 1024;

/// A secret that is not where it should be. Names the variable or file, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the environment variable {0}, which should hold a secret, is not set")]
    Unset(String),
    #[error("the secret in {0} is empty")]
    Empty(String),
    #[error("the secret in {0} is not UTF-8 text")]
    NotText(String),
    #[error("the secret file {0} is larger than {FILE_MAX} bytes")]
    TooLarge(String),
    #[error("cannot read the secret file {file}: {cause}")]
    Unreadable { file: String, cause: std::io::Error },
}

impl Secret {
    /// The secret as it stands there now, without a trailing newline.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let (text, from) = match self {
            Secret::Env(name) => match std::env::var(name) {
                Ok(text) => (text, name.clone()),
                Err(std::env::VarError::NotPresent) => return Err(SecretError::Unset(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::NotText(name.clone())),
            },
            Secret::File(path) => (read_file(path)?, path.display().to_string()),
        };
        let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        if text.is_empty() {
            return Err(SecretError::Empty(from));
        }
        Ok(SecretString::from(text))
    }
}

fn read_file(path: &std::path::Path) -> Result<String, SecretError> {
    let file = path.display().to_string();
    let unreadable = |cause| SecretError::Unreadable { file: file.clone(), cause };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(unreadable)?;
    opened.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(SecretError::TooLarge(file));
    }
    String::from_utf8(bytes).map_err(|_| SecretError::NotText(file))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn file_with(content: &[u8]) -> (tempfile::TempDir, Secret) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        (folder, Secret::File(path))
    }

    #[test]
    fn one_trailing_newline_is_dropped_and_nothing_else() {
        for (content, expected) in
            [("s3 cret\n", "s3 cret"), ("a\r\n", "a"), (" b \n\n", " b \n"), ("c", "c")]
        {
            let (_folder, secret) = file_with(content.as_bytes());
            assert_eq!(secret.read().unwrap().expose_secret(), expected);
        }
    }

    #[test]
    fn an_empty_secret_is_an_error() {
        let (_folder, secret) = file_with(b"\n");
        assert!(matches!(secret.read(), Err(SecretError::Empty(_))));
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused_without_being_quoted() {
        let (_folder, secret) = file_with(&[0xff, 0xfe, 0x00]);
        assert!(matches!(secret.read(), Err(SecretError::NotText(_))));
        let (_folder, secret) = file_with(&vec![b'x'; FILE_MAX as usize + 1]);
        let message = secret.read().unwrap_err().to_string();
        assert!(message.contains("larger than") && !message.contains("xxx"), "{message}");
    }

    #[test]
    fn a_missing_secret_is_named_by_its_place() {
        let unset = Secret::Env("LAZARET_TEST_NO_SUCH_VARIABLE".into()).read().unwrap_err();
        assert!(unset.to_string().contains("LAZARET_TEST_NO_SUCH_VARIABLE"));
        let absent = Secret::File("no/such/file".into()).read().unwrap_err();
        assert!(absent.to_string().contains("no/such/file"));
    }

    #[test]
    fn a_secret_does_not_show_when_it_is_printed() {
        let (_folder, secret) = file_with(b"hunter2\n");
        assert!(!format!("{:?}", secret.read().unwrap()).contains("hunter2"));
    }
}
