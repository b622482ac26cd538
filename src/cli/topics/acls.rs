//! `lazaret topics acls`: what everybody has to be allowed on a cluster that asks.

use serde_json::json;

use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::flow::Topology;
use crate::flow::grants::{Grant, Pattern, Resource, Who, grants};

/// Stands for the name of whoever it is.
const WHO: &str = "{who}";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those of this pipeline.
    #[arg(long)]
    pipeline: Option<String>,
    /// Only those of this stage.
    #[arg(long)]
    stage: Option<String>,
    /// For whom.
    #[arg(long = "for", value_enum)]
    of: Vec<Role>,
    /// Kafka's name of the user; `{who}` is replaced by whoever it is. Without it one user has all of the rights.
    #[arg(long, default_value = "User:lazaret.{who}")]
    principal: String,
    /// Print commands that grant them.
    #[arg(long)]
    commands: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// `lazaret run`.
    Stages,
    /// `lazaret ops`, and people with their shells.
    Ops,
    /// `lazaret topics`.
    Topics,
    /// Those who write the input.
    Producers,
    /// Those who read the output.
    Consumers,
}

pub fn run(args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let topology = Topology::derive(&config);
    let all = grants(&topology, &config.kafka.group_prefix, &config.quarantine.topics);
    let all: Vec<(Who, Vec<Grant>)> = all.into_iter().filter(|(who, _)| args.are_meant(who)).collect();
    if all.is_empty() {
        let known: Vec<String> =
            topology.stages.iter().map(|stage| format!("{}.{}", stage.pipeline, stage.stage)).collect();
        return Err(Failure::new(ExitCode::Usage, "nobody of the configuration is meant")
            .hint(format!("its stages are {}", known.join(", "))));
    }
    let rows = all.iter().flat_map(|(who, grants)| grants.iter().map(move |grant| (who, grant)));
    if args.commands {
        let commands: String = rows.map(|(who, grant)| command(&args.principal_of(who), grant)).collect();
        output::to_stdout(&commands)?;
        return Ok(ExitCode::Done);
    }
    let one = |(who, grant): (&Who, &Grant)| {
        json!({ "principal": args.principal_of(who), "for": who.name(), "resource": grant.resource,
            "name": grant.name, "pattern": grant.pattern, "operations": grant.operations })
    };
    match global.format() {
        Format::Json => output::json(&json!({ "acls": rows.map(one).collect::<Vec<_>>() }))?,
        Format::Ndjson => rows.map(one).try_for_each(|row| output::ndjson(&row))?,
        Format::Table => {
            let row = |(who, grant): (&Who, &Grant)| {
                let operations: Vec<String> = grant.operations.iter().map(ToString::to_string).collect();
                let end = if grant.pattern == Pattern::Prefixed { "*" } else { "" };
                let name = format!("{}{end}", grant.name);
                vec![args.principal_of(who), kind(grant.resource).to_owned(), name, operations.join(", ")]
            };
            let headers = ["principal", "resource", "name", "operations"];
            output::to_stdout(&output::table(&headers, rows.map(row).collect()))?;
        }
    }
    Ok(ExitCode::Done)
}

impl Args {
    fn are_meant(&self, who: &Who) -> bool {
        let (role, pipeline, stage) = match who {
            Who::Stage { pipeline, stage } => (Role::Stages, Some(pipeline), Some(stage)),
            Who::Ops => (Role::Ops, None, None),
            Who::Topics => (Role::Topics, None, None),
            Who::Producers { pipeline } => (Role::Producers, Some(pipeline), None),
            Who::Consumers { pipeline } => (Role::Consumers, Some(pipeline), None),
        };
        (self.of.is_empty() || self.of.contains(&role))
            && (self.pipeline.is_none() || self.pipeline.as_ref() == pipeline)
            && (self.stage.is_none() || self.stage.as_ref() == stage)
    }

    fn principal_of(&self, who: &Who) -> String {
        self.principal.replace(WHO, &who.name())
    }
}

fn kind(resource: Resource) -> &'static str {
    match resource {
        Resource::Topic => "topic",
        Resource::Group => "group",
        Resource::TransactionalId => "transactional-id",
    }
}

/// A line for a shell: Kafka's own tool, with the brokers and the client's settings from variables.
fn command(principal: &str, grant: &Grant) -> String {
    let operations: String =
        grant.operations.iter().map(|operation| format!(" --operation {operation}")).collect();
    let pattern = match grant.pattern {
        Pattern::Literal => "literal",
        Pattern::Prefixed => "prefixed",
    };
    format!(
        "kafka-acls.sh --bootstrap-server \"$BROKERS\" ${{ADMIN:+--command-config \"$ADMIN\"}} --add \
         --allow-principal {}{operations} --{} {} --resource-pattern-type {pattern}\n",
        quoted(principal),
        kind(grant.resource),
        quoted(&grant.name),
    )
}

/// One word of a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::grants::Operation;

    #[test]
    fn a_command_is_one_line_for_a_shell_whatever_the_names_are() {
        let grant = Grant {
            resource: Resource::TransactionalId,
            name: "lazaret.rag.parse.".into(),
            pattern: Pattern::Prefixed,
            operations: vec![Operation::Write, Operation::Describe],
        };
        assert_eq!(
            command("User:CN=o'hara", &grant),
            "kafka-acls.sh --bootstrap-server \"$BROKERS\" ${ADMIN:+--command-config \"$ADMIN\"} --add \
             --allow-principal 'User:CN=o'\\''hara' --operation Write --operation Describe --transactional-id \
             'lazaret.rag.parse.' --resource-pattern-type prefixed\n"
        );
    }
}
