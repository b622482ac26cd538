use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;

use super::*;
use crate::quarantine::contract::letter;

fn mask(rules: &str) -> Mask {
    Mask::of(&serde_saphyr::from_str(rules).expect("rules"))
}

fn payload(rules: &str, payload: &[u8]) -> String {
    String::from_utf8(mask(rules).payload(Bytes::copy_from_slice(payload)).to_vec()).expect("text")
}

#[test]
fn fields_are_hidden_wherever_the_path_leads() {
    let document = json!({
        "user": { "email": "ada@example.com", "name": "Ada" },
        "messages": [{ "content": "secret", "role": "user" }, { "content": [1, 2] }],
        "deep": { "list": [[{ "password": "x" }]], "password": { "old": 1 } },
    });
    for (path, expected) in [
        ("$.user.email", json!({ "user": { "email": "***", "name": "Ada" } })),
        ("$.user", json!({ "user": "***" })),
        ("$.user.*", json!({ "user": { "email": "***", "name": "***" } })),
        (
            "$.messages[*].content",
            json!({ "messages": [{ "content": "***", "role": "user" }, { "content": "***" }] }),
        ),
        (
            "$.messages.content",
            json!({ "messages": [{ "content": "***", "role": "user" }, { "content": "***" }] }),
        ),
        ("$..password", json!({ "deep": { "list": [[{ "password": "***" }]], "password": "***" } })),
        ("$.nobody.knows", json!({})),
    ] {
        let masked = payload(&format!("{{ fields: ['{path}'] }}"), document.to_string().as_bytes());
        let mut whole = document.clone();
        for (name, value) in expected.as_object().expect("fields") {
            whole[name] = value.clone();
        }
        assert_eq!(masked, whole.to_string(), "{path}");
    }
    assert_eq!(payload("{ fields: ['[*].a'] }", br#"[{"a":1},[{"a":2}]]"#), r#"[{"a":"***"},[{"a":"***"}]]"#);
}

#[test]
fn patterns_are_found_in_texts_numbers_and_names_and_in_what_is_no_json() {
    let rules = "{ patterns: ['[a-z]+@[a-z.]+', '[0-9]{16}'] }";
    assert_eq!(
        payload(rules, br#"{"to":["ada@example.com"],"card":4111111111111111,"ben@x.org":{"n":7}}"#),
        r#"{"to":["***"],"card":"***","***":{"n":7}}"#
    );
    assert_eq!(payload(rules, b"write to ada@example.com\n"), "write to ***\n");
    // What an escape hides from a pattern in the bytes.
    assert_eq!(payload(rules, br#"{"to":"ad\u0061@example.com"}"#), r#"{"to":"***"}"#);
}

#[test]
fn what_cannot_be_looked_into_is_hidden_as_a_whole() {
    assert_eq!(payload("{ fields: [a] }", b"\x00\x00\x00\x00\x07avro"), "***");
    assert_eq!(payload("{ fields: [a] }", b"a=1"), "***");
    assert_eq!(payload("{ fields: [a] }", "[".repeat(10_000).as_bytes()), "***");
    assert_eq!(payload("{ patterns: [a] }", b"\xff\xfe"), "***");
    let hidden = mask("{ patterns: [x] }").key(Bytes::from_static(b"\xff"));
    assert_eq!(hidden, "***");
    // Of two fields with one name, readers see either.
    assert_eq!(payload("{ patterns: [secret] }", br#"{"a":"secret","a":1}"#), r#"{"a":1}"#);
}

#[test]
fn headers_are_hidden_by_name_or_by_how_it_begins() {
    let mask = mask("{ headers: [authorization, 'X-User-*'], patterns: ['[0-9]{4}'] }");
    let shown = |name: &str, value: &'static str| mask.header(name, Bytes::from_static(value.as_bytes()));
    assert_eq!(shown("Authorization", "Bearer x"), "***");
    assert_eq!(shown("x-user-name", "Ada"), "***");
    assert_eq!(shown("x-user", "Ada"), "Ada");
    assert_eq!(shown("pin", "is 1234"), "is ***");
    assert_eq!(shown("ä", "plain"), "plain");
}

#[test]
fn keys_are_hidden_where_that_is_wanted() {
    let key = Bytes::from_static(b"ada");
    assert_eq!(mask("{ keys: true }").key(key.clone()), "***");
    assert_eq!(mask("{}").key(key), "ada");
}

#[test]
fn error_texts_lose_what_matches_and_what_they_quote() {
    let quotes = mask("{ quotes: true, patterns: ['[0-9]{3}'] }");
    for (text, masked) in [
        ("refused: 'my number is 555' (code 123)", "refused: '***' (code ***)"),
        ("it can't parse 'secret' of \"x\" now", "it can'***\" now"),
        ("one “ only: secret", "one “***"),
        ("nothing quoted, 456", "nothing quoted, ***"),
        ("plain", "plain"),
    ] {
        assert_eq!(quotes.error(text), masked, "{text}");
    }
    let mut entry = Entry { message: "no 'x' there".into(), chain: vec!["at 123".into()], ..letter(1) };
    quotes.entry(&mut entry);
    assert_eq!(
        (entry.message.as_str(), entry.chain.as_slice()),
        ("no '***' there", ["at ***".to_owned()].as_slice())
    );
}

#[test]
fn without_rules_nothing_changes_and_the_bytes_are_the_same() {
    let bytes = Bytes::from_static(br#"{ "a" : 1e3, "a": 2 }"#);
    assert_eq!(mask("{}").payload(bytes.clone()), bytes);
    assert_eq!(mask("{}").name(), "");
}

#[test]
fn rules_about_error_texts_have_a_name_and_others_have_none() {
    assert_eq!(mask("{ fields: [a], headers: [b], keys: true }").name(), "");
    let names =
        ["{ quotes: true }", "{ patterns: [a] }", "{ patterns: [a, b] }"].map(|rules| mask(rules).name());
    assert!(names.iter().all(|name| name.len() == 16));
    assert!(names[0] != names[1] && names[1] != names[2]);
}

#[test]
fn what_stands_for_bytes_is_looked_into_and_hidden_as_a_whole() {
    let rules = r"{ patterns: ['[a-z.]+@[a-z.]+'] }";
    let coded = |text: &[u8]| STANDARD.encode(text);
    let shown = |content: &str| {
        let masked = payload(rules, json!({ "content": content }).to_string().as_bytes());
        let masked: Value = serde_json::from_str(&masked).expect("JSON");
        masked["content"].as_str().expect("a text").to_owned()
    };
    assert_eq!(shown(&coded(b"# Manual\n\nwrite to ada@example.com")), "***");
    assert_eq!(
        shown(&coded(b"%PDF-1.7 \xff\xfe ada@example.com, cut off")),
        "***",
        "it cannot be looked into"
    );
    for lines in ["# Manual, write to ada@example.com!", "a short ada@example.com", "ada@example.com"] {
        let whole = coded(lines.as_bytes());
        let (first, rest) = whole.split_at(8);
        let plain = whole.trim_end_matches('=');
        let cut_off = &plain[..plain.len() - 1];
        for content in [
            whole.trim_end_matches('=').to_owned(),
            format!("{first}\r\n{rest}"),
            URL_SAFE.encode(lines),
            cut_off.to_owned(),
        ] {
            assert_eq!(shown(&content), "***", "{lines}: {content}");
        }
    }
    let harmless = coded(b"# Manual\n\nwrite to nobody at all");
    assert_eq!(shown(&harmless), harmless);
    for word in ["conservation of records", "0123456789abcdef0123456789abcdef", "internationalisation"] {
        assert_eq!(shown(word), word);
    }
}
