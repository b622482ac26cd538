//! What a client is told of where its token comes from, and the endpoint for tokens in files.

use std::collections::HashMap;

use super::*;

fn endpoint(secret: Secret) -> TokenEndpoint {
    TokenEndpoint {
        url: "https://id.example/token".into(),
        client_id: "lazaret".into(),
        client_secret: secret,
        scope: Some("kafka api://broker/.default a&b".into()),
        ca_file: None,
        extensions: [("logicalCluster".to_owned(), "lkc-1".to_owned()), ("pool".into(), "p 2".into())].into(),
    }
}

fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, content).expect("written");
    (folder, path)
}

#[test]
fn an_endpoint_becomes_what_librdkafka_calls_it_and_a_client_can_be_made() {
    let (_folder, secret) = file("s3cret\n");
    let mut config = ClientConfig::new();
    config.set("security.protocol", "sasl_ssl").set("sasl.mechanism", "OAUTHBEARER");
    set(&mut config, &TokenSource::Endpoint(endpoint(Secret::File(secret)))).expect("properties");
    for (name, value) in [
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.client.id", "lazaret"),
        ("sasl.oauthbearer.client.secret", "s3cret"),
        ("sasl.oauthbearer.scope", "kafka+api%3A%2F%2Fbroker%2F.default+a%26b"),
        ("sasl.oauthbearer.extensions", "logicalCluster=lkc-1,pool=p 2"),
    ] {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
    assert!(config.create_native_config().is_ok());
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_secret_or_file_that_is_not_there_is_named_by_its_key() {
    let mut config = ClientConfig::new();
    let unset = TokenSource::Endpoint(endpoint(Secret::Env("LAZARET_TEST_NO_SUCH_VARIABLE".into())));
    let problem = set(&mut config, &unset).expect_err("no secret").to_string();
    assert!(problem.starts_with("kafka.security.token.endpoint.client_secret: "), "{problem}");
    let absent = TokenSource::File("no/such/token".into());
    let problem = set(&mut config, &absent).expect_err("no file").to_string();
    assert!(problem.starts_with("kafka.security.token.file: cannot read"), "{problem}");
    let (_folder, path) = file("hunter2");
    let problem = set(&mut config, &TokenSource::File(path)).expect_err("no token").to_string();
    assert!(problem.contains("is no token") && !problem.contains("hunter2"), "{problem}");
}

#[test]
fn a_proxy_must_not_get_the_token_of_a_file() {
    let of = |variables: &[(&str, &str)]| {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        reached_without_proxy(|name| variables.get(name).map(|text| (*text).to_owned())).is_ok()
    };
    assert!(of(&[]) && of(&[("http_proxy", "")]) && of(&[("https_proxy", "http://proxy:3128")]));
    assert!(!of(&[("http_proxy", "http://proxy:3128")]) && !of(&[("ALL_PROXY", "http://proxy:3128")]));
    let with = |without| of(&[("http_proxy", "http://proxy:3128"), ("NO_PROXY", without)]);
    assert!(with("localhost,127.0.0.1") && with("*") && with(".svc, 127.0.0.0/8 ,id.example"));
    assert!(!with("localhost,10.0.0.0/8"));
}

#[test]
fn a_list_of_hosts_without_proxy_is_read_as_libcurl_reads_it() {
    for all in ["*", "127.0.0.1", "a,,127.0.0.1/32", "a\t,127.1.2.3/8", "127.0.0.1/0", "127.0.0.0/31,b"] {
        assert!(exempts_loopback(all), "{all}");
    }
    // It asks the proxy in each of these cases, however they look.
    for none in ["", "localhost", "a,*", "*,a", " *", "127.0.0.2", "127.0.0.1/33", "0.0.0.0/0", "127.", "::1"]
    {
        assert!(!exempts_loopback(none), "{none}");
    }
    assert!(!exempts_loopback("localhost 127.0.0.1"), "what comes after a blank is not read");
}

#[tokio::test]
async fn a_file_is_served_as_it_is_now_and_to_nobody_else() {
    let (_folder, path) = file("a.b.c\n");
    let desk = Desk::of(&path).expect("a desk");
    assert_eq!(Desk::of(&path).expect("the same").url, desk.url);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ask = async |secret: &str| {
        let asked = client.post(&desk.url).basic_auth(ASKER, Some(secret)).send().await.expect("an answer");
        (asked.status().as_u16(), asked.text().await.expect("a text"))
    };
    let (status, text) = ask(desk.secret.expose_secret()).await;
    assert_eq!(status, 200);
    assert!(text.contains(r#""access_token":"a.b.c""#), "{text}");
    std::fs::write(&path, "d.e.f").expect("written");
    assert!(ask(desk.secret.expose_secret()).await.1.contains("d.e.f"));
    let (status, text) = ask("guess").await;
    assert_eq!((status, text.as_str()), (401, ""));
    std::fs::remove_file(&path).expect("removed");
    let (status, text) = ask(desk.secret.expose_secret()).await;
    assert!(status == 404 && text.contains("cannot read"), "{status} {text}");
}
