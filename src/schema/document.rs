//! Format `bytes`: the value is the document, its name and owner stand in key and headers. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::flow::{Code, Fault};
use crate::message::headers::{RESOURCE_ID, TENANT_ID};
use crate::message::payload::Document;
use crate::message::{Headers, Record};

const CONTENT_TYPE: &str = "content-type";
const FILE_NAME: &str = "file-name";

/// Makes a [`Document`] of the record. The id is `resource-id`, or the key when there is no such header: a key may
/// have been chosen for the sake of partitioning, a header says what it means.
pub fn decode(record: &Record, value: &[u8]) -> Result<Value, Fault> {
    let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
    let id = text(&record.headers, RESOURCE_ID).or(key).filter(|id| !id.is_empty()).ok_or_else(|| {
        missing(format!("a document as bytes needs an id: a header '{RESOURCE_ID}' or a key, in UTF-8"))
    })?;
    let tenant = text(&record.headers, TENANT_ID).ok_or_else(|| {
        missing(format!("a document as bytes needs a tenant: a header '{TENANT_ID}', in UTF-8"))
    })?;
    let document = Document {
        id: id.to_owned(),
        tenant: tenant.to_owned(),
        media_type: text(&record.headers, CONTENT_TYPE).map(str::to_owned),
        file_name: text(&record.headers, FILE_NAME).map(str::to_owned),
        content: Some(STANDARD.encode(value)),
        ..Document::default()
    };
    serde_json::to_value(document).map_err(|e| {
        Fault::new(Code::RecordUndecodable, "the document cannot be written as JSON").caused_by(&e)
    })
}

fn text<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.text(name).filter(|text| !text.is_empty())
}

fn missing(message: String) -> Fault {
    Fault::new(Code::RecordMissingField, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Coordinates;

    fn record(key: Option<&[u8]>, headers: &[(&str, &str)]) -> Record {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.push_text((*name).to_owned(), *value);
        }
        let at = Coordinates { topic: "docs".into(), partition: 0, offset: 0, timestamp: None };
        Record { at, key: key.map(bytes::Bytes::copy_from_slice), value: None, headers: all }
    }

    #[test]
    fn value_key_and_headers_make_a_document() {
        let record = record(
            Some(b"acme"),
            &[
                ("resource-id", "manual"),
                ("tenant-id", "acme"),
                ("content-type", "application/pdf"),
                ("file-name", "manual.pdf"),
            ],
        );
        let document = decode(&record, &[0xff, 0x00, 0x7f]).unwrap();
        assert_eq!(
            document,
            json!({ "id": "manual", "tenant": "acme", "file_name": "manual.pdf",
                    "media_type": "application/pdf", "content": "/wB/" })
        );
    }

    #[test]
    fn the_key_is_the_id_when_no_header_says_otherwise() {
        let document = decode(&record(Some(b"manual"), &[("tenant-id", "acme")]), b"text").unwrap();
        assert_eq!(document["id"], "manual");
        let document =
            decode(&record(Some(b"manual"), &[("resource-id", ""), ("tenant-id", "acme")]), b"").unwrap();
        assert_eq!(document["id"], "manual");
    }

    #[test]
    fn a_document_without_an_id_or_a_tenant_lacks_a_field() {
        for (record, field) in [
            (record(None, &[("tenant-id", "acme")]), "resource-id"),
            (record(Some(b""), &[("tenant-id", "acme")]), "resource-id"),
            (record(Some(b"\xff"), &[("tenant-id", "acme")]), "resource-id"),
            (record(Some(b"manual"), &[]), "tenant-id"),
            (record(Some(b"manual"), &[("tenant-id", "")]), "tenant-id"),
        ] {
            let fault = decode(&record, b"text").unwrap_err();
            assert_eq!(fault.code, Code::RecordMissingField);
            assert!(fault.message.contains(field), "{}", fault.message);
        }
    }
}
