use super::*;

const JAPANESE: &str = "休暇規程\n正社員には、暦年ごとに二十二日の年次有給休暇を与える。カタカナも読める。\n";

fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

fn encoded(label: &str, text: &str) -> Vec<u8> {
    Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned()
}

#[test]
fn japanese_text_is_read_in_every_encoding_without_being_told() {
    for label in ["utf-8", "shift_jis", "euc-jp", "iso-2022-jp"] {
        assert_eq!(decode(&encoded(label, JAPANESE), None).as_deref(), Some(JAPANESE), "{label}");
    }
}

#[test]
fn utf_16_is_read_with_and_without_a_byte_order_mark() {
    for text in [JAPANESE, "plain English text\n"] {
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(decode(&utf_16(text, to_bytes), None).as_deref(), Some(text));
            assert_eq!(decode(&utf_16(&format!("\u{feff}{text}"), to_bytes), None).as_deref(), Some(text));
        }
    }
}

#[test]
fn western_text_keeps_its_dashes_and_accents() {
    let text = "Café – €450 per year, naïve or not";
    assert_eq!(decode(&encoded("windows-1252", text), None).as_deref(), Some(text));
}

#[test]
fn a_utf_8_byte_order_mark_is_no_text() {
    assert_eq!(decode(b"\xef\xbb\xbfhello", None).as_deref(), Some("hello"));
}

#[test]
fn what_is_declared_wins_when_the_bytes_agree() {
    // Both readings are text; only the declaration tells that it is half-width katakana.
    assert_eq!(decode(b"\xb1\xb2\xb3", Some("shift_jis")).as_deref(), Some("ｱｲｳ"));
}

#[test]
fn a_wrong_declaration_does_not_spoil_the_text() {
    assert_eq!(decode(&encoded("euc-jp", JAPANESE), Some("utf-8")).as_deref(), Some(JAPANESE));
    assert_eq!(decode(JAPANESE.as_bytes(), Some("iso-8859-1")).as_deref(), Some(JAPANESE));
    assert_eq!(decode(JAPANESE.as_bytes(), Some("no-such-charset")).as_deref(), Some(JAPANESE));
}

#[test]
fn one_broken_byte_in_a_long_text_is_damage_and_not_another_encoding() {
    let mut bytes = JAPANESE.repeat(50).into_bytes();
    bytes.splice(300..300, [0xff]);
    assert!(decode(&bytes, None).unwrap().contains("年次有給休暇"));
}

#[test]
fn binary_data_is_in_no_encoding() {
    let noise: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_eq!(decode(&noise, None), None);
    assert_eq!(decode(&noise, Some("utf-8")), None);
}

#[test]
fn the_charset_of_a_meta_element_is_found() {
    for html in [r#"<meta charset="EUC-JP">"#, r#"<meta http-equiv=x content="text/html; charset=euc-jp">"#] {
        assert_eq!(html_charset(html.as_bytes()).as_deref(), Some("euc-jp"), "{html}");
    }
    assert_eq!(html_charset(b"<meta charset=utf-16>"), None);
    assert_eq!(html_charset(b"<p>no word of it</p>"), None);
}

#[test]
fn replacement_characters_that_somebody_wrote_are_text() {
    let text = "decoding 'abc' gives '\u{fffd}', \u{fffd} being the replacement character";
    assert_eq!(decode(text.as_bytes(), Some("utf-8")).as_deref(), Some(text));
}

#[test]
fn a_short_text_in_utf_8_may_have_a_broken_byte_too() {
    let mut bytes = JAPANESE.as_bytes().to_vec();
    bytes.splice(31..31, [0xff]);
    assert!(decode(&bytes, None).unwrap().contains("年次有給休暇"));
}
