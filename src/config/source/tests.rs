use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("9092".into()),
        "EVIL" => Some("x\nkafka: { bootstrap: evil } # \"'".into()),
        _ => None,
    }
}

fn read(text: &str) -> Source<'_> {
    Source::read(text, &env).unwrap()
}

fn value(text: &str) -> serde_json::Value {
    serde_saphyr::from_str(&read(text).text).unwrap()
}

#[test]
fn every_setting_knows_its_line() {
    let source = read("a: 1\nb:\n  - c: 2\n    d: [x,\n        y]\n  - e\nf: { g: 3 }\n");
    let line = |path: &str| source.located(Problem::error(path, "")).line;
    let lines = ["a", "b", "b[0].c", "b[0].d", "b[0].d[1]", "b[1]", "f.g"].map(line);
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7].map(Some));
}

#[test]
fn a_setting_that_is_not_written_has_the_line_of_the_one_around_it() {
    let source = read("a: 1\nb:\n  c: 2\n");
    let line = |path: &str| source.located(Problem::error(path, "")).line;
    assert_eq!([line("b.missing.deeper[3]"), line("b.c.x"), line("")], [Some(2), Some(3), Some(1)]);
}

#[test]
fn a_place_is_traced_back_to_its_setting() {
    let source = read("a:\n  b: { c: 1, d: 2 }\n");
    assert_eq!(source.path_at(2, 18), Some("a.b.d"));
    assert_eq!(source.path_at(2, 13), Some("a.b.c"));
    assert_eq!(source.path_at(9, 1), None);
}

#[test]
fn a_number_from_a_variable_is_a_number_and_a_quoted_one_is_text() {
    assert_eq!(
        value("a: ${PORT}\nb: '${PORT}'\nc: h:${PORT}"),
        serde_json::json!({ "a": 9092, "b": "9092", "c": "h:9092" })
    );
}

#[test]
fn a_variable_cannot_add_keys() {
    let text = "kafka: { bootstrap: good }\nname: ${EVIL}\nquoted: \"${EVIL}\"\n";
    assert_eq!(value(text)["kafka"]["bootstrap"], "good");
    assert_eq!(value(text)["name"], env("EVIL").unwrap());
    assert_eq!(value(text)["quoted"], env("EVIL").unwrap());
}

#[test]
fn comments_and_keys_are_left_alone() {
    assert_eq!(value("# ${NONE}\n${KEY}: 1 # ${NONE}\n"), serde_json::json!({ "${KEY}": 1 }));
}

#[test]
fn a_value_over_several_lines_keeps_the_lines_below_in_place() {
    let source = read("a: \"${PORT}\n  more\"\nb: 1\n");
    assert_eq!(source.text.lines().position(|l| l == "b: 1"), Some(2));
}

#[test]
fn everything_that_can_be_seen_is_reported_at_once() {
    let problems = Source::read("a: ${ONE}\nb: ${TWO}\na: 1\nc: |\n  ${PORT}\n", &env).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [Some(1), Some(2), Some(3), Some(5)], "{problems:?}");
}

#[test]
fn a_line_that_may_hold_a_secret_is_not_shown() {
    let text = "a: 1\npassword: hunter2\nurl: http://me:hunter2@host/\n";
    assert_eq!(excerpt(text, 1).as_deref(), Some("a: 1"));
    assert_eq!(
        [excerpt(text, 2), excerpt(text, 3), excerpt(text, 0), excerpt(text, 9)],
        [None, None, None, None]
    );
}

#[test]
fn hostile_nesting_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(Source::read(&deep, &env).is_err());
    let blocks: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(Source::read(&blocks, &env).unwrap_err()[0].message.contains("levels deep"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([ \\-a-c:\\[\\]{}$\"'|>&*#\\n]|\\$\\{[A-Z:-]*\\}){0,60}") {
        let _ = Source::read(&text, &env).map(|source| source.path_lacking(1, 1).is_some());
    }

    #[test]
    fn whatever_a_variable_holds_arrives_as_it_is(content in "\\PC*|[\\n\\t\\\\\"'#:{}\\[\\]-]*") {
        let source = Source::read("a: x${V}\n", &|_| Some(content.clone())).unwrap();
        let value: std::collections::BTreeMap<String, String> = serde_saphyr::from_str(&source.text).unwrap();
        proptest::prop_assert_eq!(&value["a"], &format!("x{content}"));
    }
}
