use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn a_global_flag_may_stand_before_or_after_the_verb() {
    for line in [["lazaret", "-o", "json", "check"], ["lazaret", "check", "-o", "json"]] {
        let cli = Cli::try_parse_from(line).unwrap();
        assert_eq!(cli.global.format(), Format::Json);
    }
}

#[test]
fn a_failure_says_what_where_and_how_to_go_on() {
    let mut failure = Failure::new(ExitCode::Failed, "the broker does not answer")
        .at("localhost:9092")
        .hint("start Kafka, or set kafka.bootstrap");
    failure.more.push(Failure::new(ExitCode::Failed, "the registry does not answer"));
    assert_eq!(
        failure.text(false),
        "error: the broker does not answer\n  at: localhost:9092\n  hint: start Kafka, or set kafka.bootstrap\n\
         error: the registry does not answer\n"
    );
    assert!(failure.text(true).starts_with("\x1b[1;31merror\x1b[0m: the broker"));
}
