use super::*;
use crate::config::model::{Kind, Subject};
use crate::config::units::{Size, Span};

const SMALL: &str = "
version: 1
kafka: { bootstrap: '${HOST:-localhost}:9092' }
pipelines:
  p:
    input: { topic: in }
    output: { topic: out }
    stages: [{ name: check, kind: validate }]
";

fn load(text: &str) -> Result<Loaded, ConfigErrors> {
    load_text(text, "test.yaml", &|name| (name == "BROKER").then(|| "kafka-1".to_owned()))
}

#[test]
fn the_least_configuration_gets_the_defaults() {
    let config = load(SMALL).unwrap().config;
    let pipeline = &config.pipelines["p"];
    assert_eq!(config.kafka.bootstrap, "localhost:9092");
    assert_eq!((pipeline.partitions, pipeline.record_max), (6, Size::mib(8)));
    assert_eq!(pipeline.stages[0].timeout, Span::secs(120));
    assert!(matches!(&pipeline.stages[0].kind, Kind::Validate(v) if v.of == Subject::Document));
}

#[test]
fn a_variable_reaches_its_setting() {
    let config = load(&SMALL.replace("${HOST:-localhost}", "${BROKER}")).unwrap().config;
    assert_eq!(config.kafka.bootstrap, "kafka-1:9092");
}

#[test]
fn a_byte_order_mark_is_no_error() {
    assert!(load(&format!("\u{feff}{SMALL}")).is_ok());
}

#[test]
fn an_error_is_told_with_its_line_whatever_ends_lines() {
    for end in ["\n", "\r\n", "\r"] {
        let errors = load(&format!("{SMALL}htpp: {{}}\n").replace('\n', end)).unwrap_err();
        let problem = &errors.problems[0];
        assert_eq!((problem.line, problem.excerpt.as_deref()), (Some(9), Some("htpp: {}")), "{end:?}");
    }
}

#[test]
fn errors_and_warnings_come_together_in_the_order_of_the_file() {
    let text = format!("{SMALL}http: {{ listen: 0.0.0.0:1 }}\nsources: {{ timeout: 0s }}\n");
    let errors = load(&text).unwrap_err();
    let found: Vec<_> = errors.problems.iter().map(|p| (p.line, p.severity)).collect();
    assert_eq!(found, [(Some(9), Severity::Warning), (Some(10), Severity::Error)]);
    assert!(errors.to_string().starts_with("test.yaml:9, http.listen: "), "{errors}");
}

#[test]
fn a_file_that_is_no_configuration_is_refused_by_its_size_or_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, vec![b'#'; FILE_MAX as usize + 1]).unwrap();
    assert!(load_file(&path).unwrap_err().to_string().contains("larger than 1 MiB"));
    std::fs::write(&path, b"version: 1\nname: \xff\n").unwrap();
    let errors = load_file(&path).unwrap_err();
    assert_eq!((errors.problems[0].line, errors.problems[0].message.contains("UTF-8")), (Some(2), true));
    assert!(load_file(folder.path()).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn an_anchor_serves_several_stages() {
    let text = SMALL.replace("kind: validate }", "kind: validate, retry: &r { max_attempts: 3 } }")
        + "  q:\n    input: { topic: in }\n    output: { topic: out2 }\n    retry: *r\n    stages: [{ name: a, kind: validate }]\n";
    assert_eq!(load(&text).unwrap().config.pipelines["q"].retry.max_attempts, 3);
}
