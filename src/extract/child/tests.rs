use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn header(media_type: Option<&str>, file_name: Option<&str>) -> Header {
    Header {
        media_type: media_type.map(str::to_owned),
        file_name: file_name.map(str::to_owned),
        time_max: Duration::from_secs(20),
        memory_max: 1 << 30,
        expansion_max: 1 << 20,
        text_max: 1 << 16,
    }
}

const WHOLE: [&[u8]; 5] = [
    include_bytes!("../../../demo/corpus/hs200-manual.ja.pdf"),
    include_bytes!("../../../demo/corpus/incident-response.pdf"),
    include_bytes!("../../../demo/corpus/expense-rules.ja.docx"),
    include_bytes!("../../../demo/corpus/vpn-access.ja.html"),
    include_bytes!("../../../demo/corpus/visitors.ja.txt"),
];
const NAMES: [Option<&str>; 6] =
    [None, Some("a.pdf"), Some("a.docx"), Some("a.html"), Some("a.md"), Some("a.txt")];

/// What comes out is text within the limits or a fault about the document.
fn check(bytes: Vec<u8>, name: Option<&str>) {
    match answer(header(None, name), bytes).unwrap() {
        Ok(text) => {
            assert!(text.markdown.len() <= 1 << 16);
            assert!(text.pages.iter().all(|at| text.markdown.is_char_boundary(*at)));
        }
        Err(fault) => {
            let code = fault.code.as_str();
            assert!(code.starts_with("document.") || code.starts_with("parse."), "{fault}");
        }
    }
}

#[test]
fn a_panic_is_an_answer() {
    let fault = panicked(&"attempt to read past the end");
    assert_eq!(fault.code, Code::ParseCrashed);
    assert!(fault.message.contains("attempt to read past the end"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_get_text_or_a_fault(
        magic in prop::sample::select(vec![&b""[..], b"%PDF-1.7\n", b"PK\x03\x04", b"<html>", b"\xff\xfe", b"\x1b$B"]),
        body in prop::collection::vec(any::<u8>(), 0..2048),
        name in prop::sample::select(NAMES.to_vec()),
    ) {
        check([magic, &body].concat(), name);
    }

    #[test]
    fn damaged_documents_get_text_or_a_fault(
        whole in prop::sample::select(WHOLE.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        name in prop::sample::select(NAMES.to_vec()),
    ) {
        let mut bytes = whole.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(bytes, name);
    }
}
