//! `lazaret codes [CODE]`: the failure codes, and the page of one. The pages are part of the program.

use serde_json::{Value, json};

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::suggest;
use crate::flow::{Class, Code};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the page of this code, such as llm.rate_limited.
    code: Option<String>,

    /// List the codes of one class only.
    #[arg(long, value_parser = class, conflicts_with = "code", value_name = "transient|permanent|systemic")]
    class: Option<Class>,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    match args.code {
        Some(text) => show(find(&text)?, global)?,
        None => list(args.class, global)?,
    }
    Ok(ExitCode::Done)
}

fn find(text: &str) -> Result<Code, Failure> {
    text.trim().to_lowercase().parse().map_err(|_| {
        let hint = match suggest::nearest(text, Code::ALL.iter().map(|c| c.as_str())) {
            Some(near) => format!("did you mean '{near}'? `lazaret codes` lists them all"),
            None => "`lazaret codes` lists them all".to_owned(),
        };
        Failure::new(ExitCode::NothingMatched, format!("there is no failure code '{text}'")).hint(hint)
    })
}

fn show(code: Code, global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Table => output::to_stdout(&format!("{}\n", code.page().trim_end())),
        Format::Json => output::json(&with_page(code)),
        Format::Ndjson => output::ndjson(&with_page(code)),
    }
}

fn list(class: Option<Class>, global: &Global) -> Result<(), Failure> {
    let codes = || Code::ALL.iter().copied().filter(|c| class.is_none_or(|class| c.class() == class));
    match global.format() {
        Format::Table => {
            let row = |c: Code| vec![c.to_string(), c.class().to_string(), c.summary().to_owned()];
            output::to_stdout(&output::table(&["code", "class", "meaning"], codes().map(row).collect()))
        }
        Format::Json => output::json(&codes().map(entry).collect::<Vec<_>>()),
        Format::Ndjson => codes().try_for_each(|code| output::ndjson(&entry(code))),
    }
}

fn entry(code: Code) -> Value {
    json!({ "code": code, "class": code.class(), "summary": code.summary() })
}

fn with_page(code: Code) -> Value {
    let mut entry = entry(code);
    entry["page"] = code.page().into();
    entry
}

fn class(text: &str) -> Result<Class, String> {
    serde_json::from_value(text.into()).map_err(|_| "write transient, permanent or systemic".to_owned())
}
