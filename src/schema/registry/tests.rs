use apache_avro::types::Value as Avro;
use tokio::net::TcpListener;

use super::*;
use crate::config::Span;
use crate::flow::Class;
use crate::schema::stub::{self, Stub, problem, schema};

const TEXT: &str = r#""string""#;
/// `"A"` written with schema 7.
const WIRE: [u8; 7] = [0, 0, 0, 0, 7, 2, b'A'];

async fn registry(answers: &[(u16, String)]) -> (Registry, Stub) {
    let stub = Stub::answering(answers).await;
    (Registry::new(&stub.settings(), None).unwrap(), stub)
}

#[tokio::test]
async fn a_failure_of_the_registry_is_forgotten_once_it_works_again() {
    for (status, code) in [(500, 50001), (504, 0), (429, 42901), (503, 0), (401, 401)] {
        let (registry, stub) = registry(&[problem(status, code), schema(TEXT)]).await;

        let fault = registry.read(&WIRE).await.unwrap_err();
        assert_eq!(fault.class, Class::Systemic, "{status}");
        assert_eq!(fault.status, Some(status));

        assert_eq!(registry.read(&WIRE).await.unwrap(), Avro::String("A".into()), "{status}");
        assert_eq!(stub.asked().len(), 2);
    }
}

#[tokio::test]
async fn an_unknown_schema_is_asked_for_again_and_found_after_it_was_registered() {
    let (registry, _stub) = registry(&[problem(404, 40403), schema(TEXT)]).await;
    let fault = registry.read(&WIRE).await.unwrap_err();
    assert_eq!(fault.code, Code::RecordSchemaUnknown);
    assert!(fault.message.contains("id 7"), "{}", fault.message);
    assert!(registry.read(&WIRE).await.is_ok());
}

#[tokio::test]
async fn a_schema_is_fetched_once() {
    let (registry, stub) = registry(&[schema(TEXT)]).await;
    for _ in 0..3 {
        registry.read(&WIRE).await.unwrap();
    }
    assert_eq!(stub.asked(), ["/schemas/ids/7?deleted=true"]);
}

#[tokio::test]
async fn a_bare_404_means_that_the_url_is_wrong_and_not_the_record() {
    let (registry, _stub) = registry(&[(404, "<html>nothing here</html>".into())]).await;
    let fault = registry.read(&WIRE).await.unwrap_err();
    assert_eq!(fault.code, Code::RegistryUnavailable);
    assert!(fault.message.contains("registry.url"), "{}", fault.message);
}

#[tokio::test]
async fn refused_credentials_are_systemic_and_named() {
    let (registry, _stub) = registry(&[problem(401, 401)]).await;
    assert_eq!(registry.read(&WIRE).await.unwrap_err().code, Code::RegistryUnauthorized);
    assert_eq!(
        registry.id_of("t-value", Shape::Question).await.unwrap_err().code,
        Code::RegistryUnauthorized
    );
    assert_eq!(registry.latest("t-value").await.unwrap_err().code, Code::RegistryUnauthorized);
}

#[tokio::test]
async fn a_registry_that_refuses_connections_or_never_answers_is_unavailable() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for url in ["http://127.0.0.1:1", &silent] {
        let registry = Registry::new(&stub::settings(url, Span::millis(200)), None).unwrap();
        let fault = registry.read(&WIRE).await.unwrap_err();
        assert_eq!(fault.code, Code::RegistryUnavailable, "{url}");
        assert!(fault.message.contains(url), "{}", fault.message);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_schema_is_not_held_against_the_record() {
    for body in ["{}", "it works!"] {
        let (registry, _stub) = registry(&[(200, body.into())]).await;
        assert_eq!(registry.read(&WIRE).await.unwrap_err().code, Code::RegistryUnavailable, "{body}");
    }
}

#[tokio::test]
async fn bytes_that_do_not_fit_their_schema_are_undecodable() {
    let (registry, _stub) = registry(&[schema(TEXT)]).await;
    // A length of 100 bytes, and one byte.
    let fault = registry.read(&[0, 0, 0, 0, 7, 200, 1, b'A']).await.unwrap_err();
    assert_eq!(fault.code, Code::RecordUndecodable);
    assert!(fault.message.contains("schema 7"), "{}", fault.message);
    // A length of 2 GiB is refused before memory is taken for it.
    let fault = registry.read(&[0, 0, 0, 0, 7, 0x80, 0x80, 0x80, 0x80, 0x10]).await.unwrap_err();
    assert_eq!(fault.code, Code::RecordUndecodable);
}

#[tokio::test]
async fn bytes_without_the_wire_format_are_undecodable_and_nobody_is_asked() {
    let (registry, stub) = registry(&[schema(TEXT)]).await;
    for value in [b"".as_slice(), b"{}", &[0, 0, 0], &[1, 0, 0, 0, 7, 2, b'A']] {
        assert_eq!(registry.read(value).await.unwrap_err().code, Code::RecordUndecodable);
    }
    assert!(stub.asked().is_empty());
}

#[tokio::test]
async fn a_schema_of_another_kind_makes_the_record_undecodable() {
    let protobuf = (200, json!({ "schemaType": "PROTOBUF", "schema": "message M {}" }).to_string());
    for answer in [protobuf, schema("{}")] {
        let (registry, _stub) = registry(&[answer]).await;
        assert_eq!(registry.read(&WIRE).await.unwrap_err().code, Code::RecordUndecodable);
    }
}

#[tokio::test]
async fn schemas_that_a_schema_refers_to_are_fetched_with_it_and_each_once() {
    let holder = |name: &str, of: &[&str]| {
        let fields: Vec<_> = of.iter().map(|of| json!({ "name": of, "type": format!("a.{of}") })).collect();
        let text = json!({ "type": "record", "name": format!("a.{name}"), "fields": fields }).to_string();
        let references: Vec<_> =
            of.iter().map(|of| json!({ "name": of, "subject": of, "version": 3 })).collect();
        (200, json!({ "schema": text, "id": 6, "references": references }).to_string())
    };
    let leaf = (
        200,
        json!({ "id": 6, "schema": r#"{"type": "enum", "name": "a.Leaf", "symbols": ["X"]}"# }).to_string(),
    );

    let answers = [holder("Top", &["Leaf", "Middle"]), holder("Middle", &["Leaf"]), leaf, problem(500, 0)];
    let (registry, stub) = registry(&answers).await;
    registry.read(&[0, 0, 0, 0, 7, 0, 0]).await.unwrap();
    let asked = ["/schemas/ids/7?deleted=true", "/subjects/Middle/versions/3", "/subjects/Leaf/versions/3"];
    assert_eq!(stub.asked(), asked);

    let (registry, _stub) = self::registry(&[holder("Top", &["Leaf"]), problem(404, 40401)]).await;
    let fault = registry.read(&[0, 0, 0, 0, 7, 0]).await.unwrap_err();
    assert_eq!(fault.class, Class::Systemic, "the record's own schema is known, the registry is incomplete");
}

#[test]
fn a_url_that_is_none_is_refused_and_a_password_in_it_is_never_shown() {
    for url in ["", "localhost:8081", "kafka:9092/x", "ftp://registry"] {
        assert!(Registry::new(&stub::settings(url, Span::secs(1)), None).is_err(), "{url}");
    }
    let settings = stub::settings("http://user:secret@registry:8081/", Span::secs(1));
    assert_eq!(Registry::new(&settings, None).unwrap().url(), "http://registry:8081");
}
