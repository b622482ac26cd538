//! `lazaret topics acls`: what everybody has to be allowed on a cluster that asks.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::flow::Topology;
use crate::flow::grants::{Grant, Operation, Pattern, Resource, Who, grants};

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
        output::to_stdout("set -e\n")?;
        output::to_stdout(&commands(rows.map(|(who, grant)| (args.principal_of(who), grant))))?;
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

/// Lines for a shell: Kafka's own tool, with the brokers and the client's settings from variables. What one user may do in the
/// same way with several things is one line, since the tool takes seconds to start.
fn commands<'a>(rows: impl Iterator<Item = (String, &'a Grant)>) -> String {
    let mut lines: BTreeMap<(String, Resource, Pattern, &[Operation]), Vec<&str>> = BTreeMap::new();
    for (principal, Grant { resource, name, pattern, operations }) in rows {
        lines.entry((principal, *resource, *pattern, operations)).or_default().push(name);
    }
    let line =
        |((principal, resource, pattern, operations), names): ((String, _, _, &[Operation]), Vec<&str>)| {
            let operations: String =
                operations.iter().map(|operation| format!(" --operation {operation}")).collect();
            let names: String =
                names.iter().map(|name| format!(" --{} {}", kind(resource), quoted(name))).collect();
            let pattern = match pattern {
                Pattern::Literal => "literal",
                Pattern::Prefixed => "prefixed",
            };
            format!(
                "kafka-acls.sh --bootstrap-server \"$BROKERS\" ${{ADMIN:+--command-config \"$ADMIN\"}} --add \
             --allow-principal {}{operations} --resource-pattern-type {pattern}{names}\n",
                quoted(&principal)
            )
        };
    lines.into_iter().map(line).collect()
}

/// One word of a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lines_for_a_shell_whatever_the_names_are() {
        let grant = |name: &str, pattern| Grant {
            resource: Resource::Topic,
            name: name.into(),
            pattern,
            operations: vec![Operation::Write, Operation::Describe],
        };
        let grants =
            [grant("a", Pattern::Literal), grant("b", Pattern::Literal), grant("c.", Pattern::Prefixed)];
        let acls = "kafka-acls.sh --bootstrap-server \"$BROKERS\" ${ADMIN:+--command-config \"$ADMIN\"} --add \
                    --allow-principal 'User:CN=o'\\''hara' --operation Write --operation Describe";
        assert_eq!(
            commands(grants.iter().map(|grant| ("User:CN=o'hara".to_owned(), grant))),
            format!(
                "{acls} --resource-pattern-type literal --topic 'a' --topic 'b'\n\
                 {acls} --resource-pattern-type prefixed --topic 'c.'\n"
            )
        );
    }
}
