//! `lazaret demo` from outside: a small folder in, every file and question accounted for, and what is wrong with
//! the command line said once.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program with its temporary files in a folder that goes away.
fn demo(temporary: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
    command.arg("demo").args(args).env("TMPDIR", temporary).env_remove("LAZARET_LOG");
    command.output().expect("the program runs")
}

fn text(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().expect("a path in UTF-8")
}

#[test]
fn every_file_and_every_question_ends_in_the_index_with_an_answer_or_as_a_dead_letter() {
    let (documents, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |name: &str, content: &[u8]| fs::write(documents.path().join(name), content).unwrap();
    write("moon.md", b"# The moon base\n\nThe airlock of the moon base opens with the code word heron.\n");
    write("tea.txt", b"Green tea is brewed with water of seventy degrees.\n");
    fs::create_dir(documents.path().join("more")).unwrap();
    write("more/bees.html", b"<h1>Bees</h1><p>A queen bee lays two thousand eggs a day.</p>");
    write("more/cut.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog");
    let question = r#"{"id": "q", "text": "Which code word opens the airlock of the moon base?", "document": "moon.md"}"#;
    let questions = temporary.path().join("questions.jsonl");
    fs::write(&questions, question).unwrap();

    let questions = questions.to_str().unwrap();
    let args = ["--json", "--documents", text(&documents), "--questions", questions, "--seed", "7"];
    let output = demo(temporary.path(), &args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "exit code and standard error");

    let report: Value = serde_json::from_slice(&output.stdout).expect("a report in JSON");
    assert_eq!(report["complete"], true);
    let account = &report["conservation"];
    let counts = ["submitted", "indexed", "answered", "dead", "open", "doubled", "uncommitted"];
    assert_eq!(counts.map(|name| account[name].as_u64().unwrap()), [5, 3, 1, 1, 0, 0, 0], "{account}");

    let letter = &report["dead_letters"][0];
    assert_eq!(letter["code"], "parse.corrupt");
    assert_eq!(letter["correlation"]["resource"], "more/cut.pdf");
    let answer = &report["answers"][0];
    assert!(answer["text"].as_str().unwrap().contains("heron"), "{answer}");
    assert_eq!(answer["citations"][0]["document"]["id"], "moon.md");
    assert_eq!(report["score"]["right"], 1);

    // The log knows the dead letter by its job.
    let job = letter["correlation"]["job"].as_str().unwrap();
    let mut folders = fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().path());
    let folder = folders.find(|path| path.is_dir()).expect("the demonstration's folder");
    let log = fs::read_to_string(folder.join("lazaret.log")).unwrap();
    let told = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a log line is JSON");
        line["job_id"] == *job && line["code"] == "parse.corrupt"
    };
    assert!(log.lines().any(told), "{log}");
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_starts() {
    let (empty, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = temporary.path().join("questions.jsonl");
    fs::write(&file, "{\"txt\": \"Why?\"}\n").unwrap();
    let file = file.to_str().unwrap();
    for (args, place, what) in [
        (&["--ask", " "][..], "--ask", "the question is empty"),
        (&["--documents", "no/such/folder"], "--documents", "no/such/folder"),
        (&["--documents", text(&empty)], "--documents", "no documents"),
        (&["--documents", file], "--documents", "not a directory"),
        (&["--questions", "no/such/file"], "--questions", "no/such/file"),
        (&["--questions", file], "--questions", "line 1"),
        (&["--timeout", "5"], "--timeout", "no unit"),
    ] {
        let output = demo(temporary.path(), args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(place) && stderr.contains(what), "{args:?}: {stderr}");
        assert_eq!(stderr.matches("error:").count(), 1, "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_folder_for_temporary_files_that_is_not_there_is_named() {
    let gone = tempfile::tempdir().unwrap().path().join("gone");
    let output = demo(&gone, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("gone") && stderr.contains("TMPDIR"), "{stderr}");
}

#[test]
fn a_time_that_is_too_short_ends_with_what_has_not_ended() {
    let (documents, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(documents.path().join("tea.txt"), "Green tea.\n").unwrap();
    let output = demo(temporary.path(), &["--documents", text(&documents), "--timeout", "1ms"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{stderr}");
    assert!(stderr.contains("1 input has not ended (tea.txt)"), "{stderr}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("stopped before the end"),
        "the account is shown"
    );
}
