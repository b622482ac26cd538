//! The payload of a dead letter in the editor of whoever edits it: in a file that nobody else can read, and that is gone
//! afterwards.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use uuid::Uuid;

use super::FILE_MAX;
use crate::cli::{ExitCode, Failure};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::ops::dlq::edit::{Form, Open, Payload, open};
use crate::ops::quarantine::Acts;
use crate::ops::quarantine::change::operations_topic;
use crate::quarantine::Quarantine;

/// What becomes of the payload there; `None` when it stays as it is. `unmasked`: whether that is wanted, by whom and why.
pub async fn edit(
    config: &Config,
    index: &dyn Quarantine,
    id: &str,
    unmasked: (bool, Option<&str>, Option<&str>),
) -> Result<Option<Payload>, Failure> {
    let named = |name: &&str| std::env::var(name).ok().filter(|program| !program.trim().is_empty());
    let Some(program) = ["VISUAL", "EDITOR"].iter().find_map(named) else {
        let message =
            "it is not said what is to be changed, and there is no editor: neither VISUAL nor EDITOR is set";
        return Err(Failure::new(ExitCode::Usage, message)
            .hint("give --patch, --merge, --set, --payload or --set-header"));
    };
    let opened = match unmasked {
        (true, by, reason) => {
            super::check(by.unwrap_or_default(), reason)?;
            let topic = operations_topic(config).await?;
            let producer = Producer::new(&config.kafka, &Topology::derive(config), "dlq")?;
            let acts = Acts::new(&producer, &topic, by.unwrap_or_default(), reason);
            open(config, index, id, Some(acts)).await?
        }
        (false, ..) => open(config, index, id, None).await?,
    };
    let (text, ending) = text(&opened)?;
    let file = Scratch::new(&opened.id, ending, &text)?;
    run(&program, &file.0)?;
    let changed = file.read()?;
    if changed == text || changed.trim().is_empty() {
        return Ok(None);
    }
    payload(opened.form, &changed).map(Some)
}

fn text(opened: &Open) -> Result<(String, &'static str), Failure> {
    match (opened.form, &opened.view) {
        (Form::Json | Form::Avro(_), view) => {
            let text = serde_json::to_string_pretty(view).unwrap_or_default();
            Ok((format!("{text}\n"), "json"))
        }
        (Form::Text, Value::String(text)) => Ok((text.clone(), "txt")),
        (Form::Null, _) => Ok((String::new(), "txt")),
        _ => Err(Failure::new(ExitCode::Refused, "the payload is no text, which an editor could show")
            .hint("give the whole payload with --payload FILE")),
    }
}

/// A text ends as the editor has it, JSON as it is written.
fn payload(form: Form, text: &str) -> Result<Payload, Failure> {
    match form {
        Form::Json | Form::Avro(_) => serde_json::from_str(text).map(Payload::Json).map_err(|error| {
            Failure::new(ExitCode::Usage, format!("what came out of the editor is not JSON: {error}"))
                .hint("nothing was changed; do it again, or give --merge")
        }),
        _ => Ok(Payload::Bytes(text.to_owned().into_bytes().into())),
    }
}

/// The words of the variable may be a program and its flags.
fn run(program: &str, path: &Path) -> Result<(), Failure> {
    let failed = |why: String| {
        Failure::new(ExitCode::Failed, format!("the editor '{program}' {why}; nothing was changed"))
    };
    let status = Command::new("sh").args(["-c", &format!("{program} \"$1\""), "sh"]).arg(path).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("ended with {status}"))),
        Err(error) => Err(failed(format!("cannot be run: {error}"))),
    }
}

/// A file that is gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(id: &str, ending: &str, text: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("lazaret-{id}-{}.{ending}", Uuid::now_v7()));
        let failed = |error: std::io::Error| {
            Failure::new(ExitCode::Failed, format!("the payload cannot be written for the editor: {error}"))
                .at(path.display().to_string())
        };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let scratch = Self(path.clone());
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(scratch)
    }

    fn read(&self) -> Result<String, Failure> {
        let failed = |why: String| {
            Failure::new(ExitCode::Failed, format!("what the editor wrote cannot be read: {why}"))
                .at(self.0.display().to_string())
        };
        let file = File::open(&self.0).map_err(|error| failed(error.to_string()))?;
        let mut text = String::new();
        file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
        match text.len() as u64 > FILE_MAX {
            true => Err(failed(format!("it is longer than {FILE_MAX} bytes"))),
            false => Ok(text),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_edited_lies_in_a_file_that_is_nobody_elses_and_does_not_stay() {
        let file = Scratch::new("id-1", "json", "{\"a\": \"\"}\n").expect("written");
        let path = file.0.clone();
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        run("sed -i s/a/b/", &path).expect("edited");
        assert_eq!(file.read().expect("read"), "{\"b\": \"\"}\n");
        assert!(run("false", &path).is_err_and(|failure| failure.message.contains("nothing was changed")));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn json_comes_back_as_json_and_a_text_as_it_is() {
        assert!(
            matches!(payload(Form::Avro(7), "{\"a\": 1}"), Ok(Payload::Json(view)) if view == json!({ "a": 1 }))
        );
        assert!(payload(Form::Json, "{").is_err_and(|failure| failure.code == ExitCode::Usage));
        assert!(matches!(payload(Form::Text, "{"), Ok(Payload::Bytes(bytes)) if &*bytes == b"{"));
        let bytes = Open { id: "a".into(), form: Form::Bytes, view: json!("/w==") };
        assert!(text(&bytes).is_err_and(|failure| failure.code == ExitCode::Refused));
    }
}
