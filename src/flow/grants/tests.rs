//! What is allowed, and that it is the least.

use super::*;
use crate::config::Config;

fn config() -> Config {
    serde_saphyr::from_str(
        "version: 1
kafka: { bootstrap: 'localhost:9092' }
pipelines:
  rag:
    input: { topic: documents }
    output: { topic: indexed }
    retry: { rungs: [1s] }
    stages:
      - { name: validate, kind: validate }
      - { name: parse, kind: parse, ordering: key }
",
    )
    .expect("a valid configuration")
}

fn all() -> BTreeMap<Who, Vec<Grant>> {
    grants(&Topology::derive(&config()), "lazaret.", &["foreign.DLT".to_owned()])
}

/// As `kind name operations`, a line each.
fn lines(who: &Who) -> Vec<String> {
    let grant = |grant: &Grant| {
        let operations: Vec<String> = grant.operations.iter().map(ToString::to_string).collect();
        let end = if grant.pattern == Pattern::Prefixed { "*" } else { "" };
        format!("{:?} {}{end} {}", grant.resource, grant.name, operations.join(" "))
    };
    all()[who].iter().map(grant).collect()
}

#[test]
fn a_stage_reads_what_is_its_own_and_writes_where_its_records_go() {
    let stage = |stage: &str| lines(&Who::Stage { pipeline: "rag".into(), stage: stage.into() });
    assert_eq!(
        stage("parse"),
        [
            "Topic indexed Write Describe",
            "Topic rag.parse Read Describe",
            "Topic rag.parse.dlq Write Describe",
            "Topic rag.parse.park Read Write Describe",
            "Topic rag.parse.redrive Read Describe",
            "Topic rag.parse.retry.1s Read Write Describe",
            "Group lazaret.rag.parse Read Describe",
            "TransactionalId lazaret.rag.parse.* Write Describe",
        ]
    );
    assert!(stage("validate").contains(&"Topic rag.parse Write Describe".to_owned()));
}

#[test]
fn nobody_but_a_stage_writes_its_input_and_its_rungs() {
    let writes =
        |grant: &Grant, name: &str| grant.name == name && grant.operations.contains(&Operation::Write);
    for name in ["rag.parse", "rag.parse.retry.1s", "rag.parse.park"] {
        let all = all();
        let who: Vec<String> = all
            .iter()
            .filter(|(_, grants)| grants.iter().any(|grant| writes(grant, name)))
            .map(|(who, _)| who.name())
            .collect();
        let expected = if name == "rag.parse" { "rag.validate" } else { "rag.parse" };
        assert_eq!(who, [expected], "{name}");
    }
}

#[test]
fn producers_write_the_input_and_consumers_read_the_output_and_nothing_else() {
    assert_eq!(lines(&Who::Producers { pipeline: "rag".into() }), ["Topic documents Write Describe"]);
    assert_eq!(lines(&Who::Consumers { pipeline: "rag".into() }), ["Topic indexed Read Describe"]);
}

#[test]
fn operators_see_every_topic_and_send_back_letters() {
    let ops = lines(&Who::Ops);
    for line in [
        "Topic documents Read Describe",
        "Topic foreign.DLT Read Describe",
        "Topic lazaret.operations Read Write Describe",
        "Topic rag.parse.dlq Read Write Describe",
        "Topic rag.parse.redrive Read Write Describe",
        "Group lazaret.rag.parse Describe",
        "TransactionalId lazaret.redrive.* Write Describe",
    ] {
        assert!(ops.contains(&line.to_owned()), "{line}: {ops:#?}");
    }
}

#[test]
fn topics_of_others_are_made_and_then_left_alone() {
    let topics = lines(&Who::Topics);
    assert!(topics.contains(&"Topic documents Create Describe DescribeConfigs".to_owned()));
    assert!(
        topics.contains(&"Topic rag.parse.dlq Create Alter Describe DescribeConfigs AlterConfigs".to_owned())
    );
}
