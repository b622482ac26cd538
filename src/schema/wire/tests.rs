use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;

use super::*;

const DOCUMENT: &str = r#"{"type": "record", "name": "Doc", "fields": [
    {"name": "id", "type": "string"},
    {"name": "pages", "type": {"type": "array", "items": "long"}, "default": []},
    {"name": "text", "type": ["null", "string"], "default": null},
    {"name": "draft", "type": "boolean"}]}"#;

fn document(text: Option<&str>) -> (Value, Vec<u8>) {
    let text = match text {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(text) => Value::Union(1, Box::new(Value::String(text.into()))),
    };
    let value = Value::Record(vec![
        ("id".into(), Value::String("manual".into())),
        ("pages".into(), Value::Array(vec![Value::Long(0), Value::Long(700)])),
        ("text".into(), text),
        ("draft".into(), Value::Boolean(false)),
    ]);
    let schema = Schema::parse_str(DOCUMENT).unwrap();
    let datum =
        GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value.clone()).unwrap();
    (value, datum)
}

#[test]
fn data_that_were_cut_off_anywhere_are_never_taken_for_whole() {
    let writer = WriterSchema::parse(DOCUMENT, &[]).unwrap();
    for text in [None, Some("Press the button.")] {
        let (value, datum) = document(text);
        assert_eq!(writer.read(&datum).unwrap(), value);
        for end in 0..datum.len() {
            let error = writer.read(&datum[..end]).unwrap_err();
            assert!(matches!(error, WireError::Avro(_)), "after {end} bytes: {error}");
        }
    }
}

#[test]
fn what_was_read_is_written_again_byte_for_byte_from_its_json_and_other_json_is_refused() {
    let writer = WriterSchema::parse(DOCUMENT, &[]).unwrap();
    let (_, datum) = document(Some("Press the button."));
    let json =
        serde_json::json!({ "id": "manual", "pages": [0, 700], "text": "Press the button.", "draft": false });
    assert_eq!(writer.write(&json).unwrap(), datum);
    for wrong in
        [r#"{"id": 7, "draft": false}"#, r#"{"id": "a"}"#, r#"{"id": "a", "draft": true, "more": 1}"#]
    {
        let wrong = serde_json::from_str(wrong).unwrap();
        assert!(matches!(writer.write(&wrong).unwrap_err(), WireError::Mismatch(_)), "{wrong}");
    }
}

#[test]
fn types_that_only_others_use_are_written_too() {
    let schema = r#"{"type": "record", "name": "Other", "fields": [
        {"name": "n", "type": "int"}, {"name": "map", "type": {"type": "map", "values": "long"}},
        {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 2}}]}"#;
    let writer = WriterSchema::parse(schema, &[]).unwrap();
    let json = serde_json::json!({ "n": -3, "map": { "k": 5 }, "hash": "AP8=" });
    let value = writer.read(&writer.write(&json).unwrap()).unwrap();
    let Value::Record(fields) = value else { panic!("a record") };
    assert_eq!(fields[0].1, Value::Int(-3));
    assert_eq!(fields[1].1, Value::Map([("k".to_owned(), Value::Long(5))].into()));
    assert_eq!(fields[2].1, Value::Fixed(2, vec![0, 255]));
    let wrong = serde_json::json!({ "n": 3_000_000_000_i64, "map": {}, "hash": "AP8=" });
    assert!(writer.write(&wrong).is_err());
}

#[test]
fn data_with_something_behind_them_are_refused() {
    let (_, mut datum) = document(None);
    datum.extend([1, 2]);
    let error = WriterSchema::parse(DOCUMENT, &[]).unwrap().read(&datum).unwrap_err();
    assert_eq!(error.to_string(), "2 bytes are left after the data");
}

#[test]
fn a_schema_that_contains_itself_is_refused_however_it_does_so() {
    let list =
        r#"{"type": "record", "name": "a.List", "fields": [{"name": "next", "type": ["null", "List"]}]}"#;
    let map = r#"{"type": "record", "name": "Tree", "fields": [
        {"name": "children", "type": {"type": "map", "values": {"type": "array", "items": "Tree"}}}]}"#;
    for text in [list, map] {
        assert!(matches!(WriterSchema::parse(text, &[]).unwrap_err(), WireError::Recursive(_)), "{text}");
    }
}

#[test]
fn a_type_used_twice_is_not_a_type_that_contains_itself() {
    let text = r#"{"type": "record", "name": "Pair", "namespace": "a", "fields": [
        {"name": "left", "type": {"type": "record", "name": "Leaf", "fields": [{"name": "n", "type": "int"}]}},
        {"name": "right", "type": "Leaf"}]}"#;
    let value = WriterSchema::parse(text, &[]).unwrap().read(&[2, 4]).unwrap();
    let leaf = |n| Value::Record(vec![("n".into(), Value::Int(n))]);
    assert_eq!(value, Value::Record(vec![("left".into(), leaf(1)), ("right".into(), leaf(2))]));
}

#[test]
fn types_of_other_subjects_are_read_by_name() {
    let leaf = r#"{"type": "record", "name": "other.Leaf", "fields": [{"name": "n", "type": "int"}]}"#;
    let text =
        r#"{"type": "record", "name": "a.Holder", "fields": [{"name": "leaf", "type": "other.Leaf"}]}"#;
    let writer = WriterSchema::parse(text, &[leaf.to_owned()]).unwrap();
    let leaf = Value::Record(vec![("n".into(), Value::Int(1))]);
    assert_eq!(writer.read(&[2]).unwrap(), Value::Record(vec![("leaf".into(), leaf)]));
    assert!(WriterSchema::parse(text, &[]).is_err());
}

#[test]
fn a_fixed_type_of_absurd_size_is_refused_before_memory_is_taken() {
    let text = r#"{"type": "fixed", "name": "Huge", "size": 1000000000000}"#;
    assert!(matches!(WriterSchema::parse(text, &[]).unwrap_err(), WireError::Fixed(_)));
}

#[test]
fn the_head_is_split_off_and_put_back() {
    let wire = join(0x0102_0304, b"data");
    assert_eq!(wire, b"\x00\x01\x02\x03\x04data");
    assert_eq!(split(&wire).unwrap(), (0x0102_0304, b"data".as_slice()));
}

#[test]
fn bytes_without_the_head_are_undecodable_and_the_message_guesses_why() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "empty"),
        (b"{\"id\": 1}", "looks like JSON"),
        (&[0, 0, 0], "ends after 3 bytes"),
        (&[0x1f, 0x8b, 0, 0, 0, 0], "first byte is 1f"),
    ];
    for (wire, hint) in cases {
        let fault = split(wire).unwrap_err();
        assert_eq!(fault.code, Code::RecordUndecodable);
        assert!(fault.message.contains(hint), "{}", fault.message);
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_value_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let writer = WriterSchema::parse(DOCUMENT, &[]).unwrap();
        if let Ok(value) = writer.read(&bytes) {
            prop_assert!(matches!(value, Value::Record(fields) if fields.len() == 4));
        }
        let _ = split(&bytes);
    }
}
