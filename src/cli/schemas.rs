//! `lazaret schemas check|register`: our Avro schemas against the registry. Never changes what others registered.

use serde::Serialize;

use super::{ExitCode, Failure, Format, Global, output};
use crate::flow::Fault;
use crate::ops::schemas::{self, RegisterError, State, Subject};
use crate::schema::Registry;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Verb {
    /// Compare the schema of every Avro topic with the registry; 1 if one is incompatible.
    Check,
    /// Register what is missing. If one subject would refuse, register nothing and end with 4.
    Register,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let file = global.config.display().to_string();
    let registry =
        Registry::of(&config).map_err(|e| Failure::new(ExitCode::Usage, e.to_string()).at(file.clone()))?;
    let Some(registry) = registry else {
        return match args.verb {
            Verb::Check => local(global),
            Verb::Register => Err(Failure::new(ExitCode::Usage, "the configuration has no schema registry")
                .at(file)
                .hint("add `registry: { url: … }`")),
        };
    };
    match args.verb {
        Verb::Check => {
            let subjects = schemas::check(&config, &registry).await.map_err(unreachable)?;
            report(&subjects, global)?;
            let refused = subjects.iter().any(|s| s.state == State::Incompatible);
            Ok(if refused { ExitCode::Failed } else { ExitCode::Done })
        }
        Verb::Register => match schemas::register(&config, &registry).await {
            Ok(subjects) => report(&subjects, global).map(|()| ExitCode::Done),
            Err(RegisterError::Registry(fault)) => Err(unreachable(fault)),
            Err(error @ RegisterError::Incompatible(_)) => {
                let failure = Failure::new(ExitCode::Refused, error.to_string())
                    .at(registry.url())
                    .hint("change the schema, or the subject's compatibility level, and try again");
                if let RegisterError::Incompatible(subjects) = &error {
                    report(subjects, global)?;
                }
                Err(failure)
            }
        },
    }
}

/// Without a registry there is only the question whether the schemas are schemas.
fn local(global: &Global) -> Result<ExitCode, Failure> {
    #[derive(Serialize)]
    struct Row {
        schema: &'static str,
        problem: Option<String>,
    }
    let rows: Vec<Row> =
        schemas::check_local().into_iter().map(|(schema, problem)| Row { schema, problem }).collect();
    let broken = rows.iter().any(|row| row.problem.is_some());
    show(&rows, global, &["schema", "problem"], |row| {
        vec![row.schema.to_owned(), row.problem.clone().unwrap_or_else(|| "none".to_owned())]
    })?;
    Ok(if broken { ExitCode::Failed } else { ExitCode::Done })
}

fn report(subjects: &[Subject], global: &Global) -> Result<(), Failure> {
    if subjects.is_empty() && global.format() == Format::Table {
        output::to_stderr("no topic of the configuration has format avro\n");
    }
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    show(subjects, global, &["subject", "schema", "version", "id", "state"], |s| {
        vec![
            s.subject.clone(),
            s.schema.to_owned(),
            number(s.version),
            number(s.id),
            s.state.as_str().to_owned(),
        ]
    })
}

fn show<T: Serialize>(
    rows: &[T],
    global: &Global,
    heading: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) -> Result<(), Failure> {
    match global.format() {
        Format::Table if rows.is_empty() => Ok(()),
        Format::Table => output::to_stdout(&output::table(heading, rows.iter().map(cells).collect())),
        Format::Json => output::json(&rows),
        Format::Ndjson => rows.iter().try_for_each(output::ndjson),
    }
}

fn unreachable(fault: Fault) -> Failure {
    let hint = format!("`lazaret codes {}` says what to look at", fault.code);
    Failure::new(ExitCode::Failed, fault.message).hint(hint)
}
