//! `lazaret man`: the manual, made from the same definitions that parse the flags.

use std::io;
use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, ExitCode, Failure, Global, output};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write a page of each verb into this folder, such as /usr/local/share/man/man1, rather than all of them to standard output.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub async fn run(args: Args, _global: &Global) -> Result<ExitCode, Failure> {
    let pages = pages().map_err(|error| Failure::new(ExitCode::Failed, error.to_string()))?;
    let Some(dir) = args.dir else {
        for (_, page) in pages {
            output::to_stdout(&page)?;
        }
        return Ok(ExitCode::Done);
    };
    let count = pages.len();
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(&dir)?;
        pages.iter().try_for_each(|(name, page)| std::fs::write(dir.join(format!("{name}.1")), page))
    };
    write().map_err(|error| {
        Failure::new(ExitCode::Failed, format!("the pages cannot be written: {error}"))
            .at(dir.display().to_string())
    })?;
    output::to_stderr(&format!("{count} pages were written into {}\n", dir.display()));
    Ok(ExitCode::Done)
}

/// Name and text of a page of each verb, those that have verbs of their own first.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut root = Cli::command();
    root.build();
    let (mut pages, mut left) = (Vec::new(), vec![root]);
    while let Some(verb) = left.pop() {
        let subs: Vec<Command> = verb
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
            .cloned()
            .collect();
        left.extend(subs.into_iter().rev());
        let name = verb.get_display_name().unwrap_or_else(|| verb.get_name()).to_owned();
        let mut page = Vec::new();
        Man::new(verb)
            .source(concat!("lazaret ", env!("CARGO_PKG_VERSION")))
            .manual("Lazaret")
            .render(&mut page)?;
        pages.push((name, String::from_utf8_lossy(&page).into_owned()));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every verb with its path, such as `dlq ls`.
    fn verbs(command: &Command, path: &str, all: &mut Vec<String>) {
        for verb in command.get_subcommands() {
            let path = format!("{path} {}", verb.get_name());
            verbs(verb, &path, all);
            all.push(path);
        }
    }

    #[test]
    fn every_verb_has_a_page_with_its_flags_and_is_named_by_the_one_above() {
        let pages = pages().unwrap();
        let page = |name: &str| {
            let found = pages.iter().find(|(known, _)| known == name);
            &found.unwrap_or_else(|| panic!("there is no page {name}")).1
        };
        let mut all = Vec::new();
        verbs(&Cli::command(), "lazaret", &mut all);
        assert!(all.len() > 40, "{}", all.len());
        for verb in &all {
            let name = verb.replace(' ', "-");
            let roff = name.replace('-', "\\-");
            let text = page(&name);
            assert!(text.contains(".SH NAME") && text.contains(&roff), "{name}: {text}");
            let (above, _) = verb.rsplit_once(' ').unwrap();
            assert!(page(&above.replace(' ', "-")).contains(&roff), "{above} does not name {name}");
        }
        assert_eq!(pages.len(), all.len() + 1, "and one of the program itself");
        assert!(page("lazaret-dlq-ls").contains("\\-\\-tenant") && page("lazaret").contains("Exit codes"));
    }
}
