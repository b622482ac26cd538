//! From a file to a checked `Config`: read, fill in variables, parse, check. Uses nothing from a file that has
//! an error, and reports everything that is wrong with it at once as far as one reading can tell.

use std::io::Read;
use std::path::Path;

use super::check::check;
use super::explain::explain;
use super::model::Config;
use super::problem::{ConfigErrors, Problem, Severity};
use super::source::Source;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "lazaret.yaml";
/// Largest configuration file, bytes.
pub const FILE_MAX: u64 = 1024 * 1024;

/// A configuration that can be used, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads, fills in and checks a file. Warnings go to the log.
    pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
        Ok(logged(load_file(path)?))
    }

    /// The same for text that is already there; `name` stands in messages in place of the file's name.
    pub fn parse(text: &str, name: &str) -> Result<Config, ConfigErrors> {
        Ok(logged(load_text(text, name, &|variable| std::env::var(variable).ok())?))
    }
}

fn logged(loaded: Loaded) -> Config {
    for warning in &loaded.warnings {
        tracing::warn!(path = warning.path, line = warning.line, hint = warning.hint, "{}", warning.message);
    }
    loaded.config
}

/// Reads, fills in and checks a file of at most [`FILE_MAX`] bytes.
pub fn load_file(path: &Path) -> Result<Loaded, ConfigErrors> {
    let name = path.display().to_string();
    let text = read(path).map_err(|problem| ConfigErrors::one(&name, problem))?;
    load_text(&text, &name, &|variable| std::env::var(variable).ok())
}

/// Fills in and checks text. `env` looks up environment variables.
pub fn load_text(
    text: &str,
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigErrors> {
    let fail = |problems| ConfigErrors { file: name.to_owned(), problems };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // YAML takes each of these for the end of a line (5.4), so lines are counted alike in messages and excerpts.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let source = Source::read(&text, env).map_err(fail)?;
    let options = serde_saphyr::options! { with_snippet: false };
    let config: Config = serde_saphyr::from_str_with_options(&source.text, options)
        .map_err(|e| fail(vec![explain(&e, &source)]))?;
    let mut problems: Vec<Problem> = check(&config).into_iter().map(|p| source.located(p)).collect();
    problems.sort_by_key(|p| p.line);
    if problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(fail(problems));
    }
    Ok(Loaded { config, warnings: problems })
}

fn read(path: &Path) -> Result<String, Problem> {
    let refuse = |e: std::io::Error| {
        Problem::error("", format!("cannot read the configuration: {e}"))
            .hint("name the file with --config or LAZARET_CONFIG; the default is lazaret.yaml here")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(refuse)?;
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(refuse)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(Problem::error("", "the configuration is larger than 1 MiB")
            .hint("this is probably another file; name the right one with --config"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let line =
            e.as_bytes().iter().take(e.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count() + 1;
        let problem =
            Problem::error("", "the configuration is not UTF-8 text").hint("save the file as UTF-8");
        Problem { line: Some(line), ..problem }
    })
}

#[cfg(test)]
mod tests;
