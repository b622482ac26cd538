//! The configuration and the command line as a user meets them: what a wrong file is told, what the verbs print.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lazaret::cli::Failure;
use lazaret::config::{self, load_text};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Compares with a file in the repository; `LAZARET_BLESS=1` writes it instead.
fn assert_same_as_file(actual: &str, file: &Path) {
    if std::env::var_os("LAZARET_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(file, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(actual, expected, "{} differs; LAZARET_BLESS=1 writes it anew", file.display());
}

fn bad_configurations() -> Vec<PathBuf> {
    let folder = Path::new(ROOT).join("tests/it/config");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files
}

/// What the user is shown for a file, with an empty environment.
fn complaint(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    match load_text(&text, name, &|_| None) {
        Ok(loaded) => loaded.warnings.iter().map(|w| Failure::of_problem(w, name).text(false)).collect(),
        Err(errors) => Failure::from(errors).text(false),
    }
}

/// Runs the program in an environment without anything that would change its output.
fn lazaret(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
    for name in ["LAZARET_CONFIG", "LAZARET_LOG", "LAZARET_KAFKA", "LAZARET_PROVIDER", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(ROOT).stdin(Stdio::null());
    command
}

fn ran(arguments: &[&str]) -> Output {
    lazaret(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn every_wrong_file_is_told_what_is_wrong_where_and_how_to_put_it_right() {
    let files = bad_configurations();
    assert!(files.len() > 30, "only {} files", files.len());
    for file in files {
        let complaint = complaint(&file);
        assert!(!complaint.is_empty(), "{} is accepted without a word", file.display());
        assert_same_as_file(&complaint, &file.with_extension("txt"));
    }
}

#[test]
fn no_complaint_repeats_a_secret_that_was_written_down() {
    for file in bad_configurations() {
        assert!(!complaint(&file).contains("hunter2"), "{}", file.display());
    }
}

#[test]
fn the_published_schema_is_that_of_the_code() {
    let schema = format!("{}\n", serde_json::to_string_pretty(&config::schema()).unwrap());
    assert_same_as_file(&schema, &Path::new(ROOT).join("schemas/config.schema.json"));
    assert_eq!(stdout(&ran(&["config", "schema"])), schema);
}

#[test]
fn the_shipped_example_is_right_and_says_what_it_contains() {
    let output = ran(&["check"]);
    assert_eq!(stderr(&output), "");
    assert_eq!(stdout(&output), "ok: 2 pipelines, 9 stages, 71 topics\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_committed_list_of_topics_is_that_of_the_shipped_example() {
    let listed = ran(&["topics", "list"]);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    assert_same_as_file(stdout(&listed), &Path::new(ROOT).join("topics/topics.yaml"));
}

#[test]
fn a_shown_configuration_is_a_configuration_of_the_same_meaning() {
    let shown = ran(&["config", "show"]);
    let again = load_text(stdout(&shown), "shown", &|_| None).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(stdout(&ran(&["config", "show", "-o", "json"]))).unwrap();
    assert_eq!(serde_json::to_value(&again.config).unwrap(), json);
}

#[test]
fn a_wrong_file_fails_the_check_with_exit_code_2_and_nothing_on_stdout() {
    let output = ran(&["check", "--config", "tests/it/config/stage_twice.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
}

#[test]
fn warnings_fail_the_check_only_when_it_is_strict() {
    let file = "tests/it/config/warnings.yaml";
    let lenient = ran(&["check", "-c", file]);
    assert_eq!(lenient.status.code(), Some(0));
    assert!(stderr(&lenient).starts_with("warning: ") && stdout(&lenient).starts_with("ok: "));
    assert_eq!(ran(&["check", "-c", file, "--strict"]).status.code(), Some(2));
}

#[test]
fn the_check_reports_to_machines_on_stdout() {
    let output = ran(&["check", "-o", "json", "-c", "tests/it/config/retry_wrong.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let report: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(report["ok"], false);
    assert!(report["problems"].as_array().unwrap().iter().all(|p| p["line"].as_u64() > Some(0)));
}

#[test]
fn a_missing_file_and_a_mistyped_flag_are_usage_errors_without_a_stack_trace() {
    for arguments in [["check", "-c", "no/such.yaml"], ["check", "--stricct", "-q"]] {
        let output = ran(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).starts_with("error: ") && !stderr(&output).contains("panicked"));
    }
}

#[test]
fn a_failure_is_json_when_the_output_is() {
    let output = ran(&["config", "show", "-o", "json", "-c", "no/such.yaml"]);
    let failure: serde_json::Value = serde_json::from_str(stderr(&output)).unwrap();
    assert_eq!(failure["error"]["exit_code"], 2);
    assert_eq!(failure["error"]["at"], "no/such.yaml");
}

#[test]
fn the_environment_names_the_file_unless_the_flag_does() {
    let by_environment = lazaret(&["check"]).env("LAZARET_CONFIG", "no/such.yaml").output().unwrap();
    assert!(stderr(&by_environment).contains("no/such.yaml"));
    let both =
        lazaret(&["check", "-c", "lazaret.yaml"]).env("LAZARET_CONFIG", "no/such.yaml").output().unwrap();
    assert_eq!(both.status.code(), Some(0));
}

#[test]
fn every_failure_code_is_listed_and_has_a_page() {
    let listed = ran(&["codes", "-o", "ndjson"]);
    assert_eq!(stdout(&listed).lines().count(), lazaret::flow::Code::ALL.len());
    for code in lazaret::flow::Code::ALL {
        assert!(code.page().starts_with(&format!("# {code}")), "{code}");
    }
    assert!(stdout(&ran(&["codes", "llm.rate_limited"])).starts_with("# llm.rate_limited"));
}

#[test]
fn an_unknown_code_matches_nothing_and_the_nearest_is_suggested() {
    let output = ran(&["codes", "llm.rate_limit"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("did you mean 'llm.rate_limited'?"), "{}", stderr(&output));
}

#[test]
fn colours_are_kept_from_pipes_unless_they_are_forced() {
    let plain = ran(&["codes", "none"]);
    assert!(!stderr(&plain).contains('\x1b'));
    let forced =
        lazaret(&["codes", "none"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert!(stderr(&forced).contains("\x1b[1;31merror"));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child =
        lazaret(&["config", "schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = ran(&["completions", shell]);
        assert!(stdout(&output).contains("lazaret"), "{shell}");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn every_verb_is_in_the_help_and_in_the_documentation() {
    let help = ran(&["--help"]);
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/cli.md")).unwrap();
    for verb in [
        "run",
        "submit",
        "job",
        "dlq",
        "codes",
        "check",
        "config",
        "topics",
        "schemas",
        "provider",
        "completions",
        "man",
    ] {
        assert!(stdout(&help).contains(&format!("\n  {verb} ")), "{verb} is not in the help");
        assert!(page.contains(&format!("\n## lazaret {verb}\n")), "{verb} is not in docs/cli.md");
        let own = ran(&[verb, "--help"]);
        assert_eq!(own.status.code(), Some(0), "{verb}");
        assert!(stdout(&own).contains("Usage: lazaret"), "{verb}");
    }
}

#[test]
fn what_is_not_there_ends_with_3_and_what_makes_no_sense_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("lazaret.yaml");
    std::fs::copy(Path::new(ROOT).join("lazaret.yaml"), &config).unwrap();
    let config = config.to_str().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    for (arguments, code, what) in [
        (["submit", "documents", empty], 3, "there are no documents in "),
        (["submit", "questions", "--ask="], 2, "--ask: the question is empty"),
        (["submit", "questions", "--tenant=acme"], 2, "there is no question"),
        (["dlq", "ls", "--since=soon"], 2, "--since: "),
        (["dlq", "ls", "--after=here"], 2, "--after: this is not where a page ends"),
        (["dlq", "show", "a/b"], 2, "'a/b' is not the id of a dead letter"),
        (["schemas", "register", "-q"], 2, "the configuration has no schema registry"),
    ] {
        let output = ran(&[arguments.as_slice(), &["-c", config]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        let told = stderr(&output);
        assert!(told.starts_with(&format!("error: {what}")), "{arguments:?}: {told}");
        assert!(told.contains("\n  hint: "), "{arguments:?}: {told}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_log_filter_that_is_none_is_refused() {
    let output = lazaret(&["check"]).env("LAZARET_LOG", "lazaret=loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: LAZARET_LOG='lazaret=loud' is not a log filter"));
}

#[test]
fn log_lines_are_json_with_their_fields_at_top_level_where_nobody_watches() {
    let config = "version: 1\nkafka: { bootstrap: '127.0.0.1:1', timeout: 1s }\npipelines: {}\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lazaret.yaml");
    let pipelines = "p: { input: { topic: a }, output: { topic: b }, stages: [{ name: v, kind: validate }] }";
    std::fs::write(&file, config.replace("pipelines: {}", &format!("pipelines: {{ {pipelines} }}"))).unwrap();
    let output = ran(&["topics", "plan", "-o", "json", "-c", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
    let lines: Vec<serde_json::Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (failure, logged) = lines.split_last().unwrap();
    assert_eq!(failure["error"]["exit_code"], 8);
    assert_eq!(failure["error"]["at"], "127.0.0.1:1");
    assert!(!logged.is_empty());
    for line in logged {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
}
