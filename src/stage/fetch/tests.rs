use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use base64::Engine;
use futures::StreamExt;
use tokio::net::TcpListener;

use super::*;
use crate::config::{Sources, Span};

const SIZE_MAX: u64 = 1_000;

fn from(uri: impl Into<String>) -> Document {
    Document { uri: Some(uri.into()), ..Document::default() }
}

fn below(root: &Path) -> Fetcher {
    Fetcher::new(&Sources { file_roots: vec![root.into()], ..Sources::default() }).expect("sources")
}

fn file_uri(path: &Path) -> String {
    Url::from_file_path(path).expect("an absolute path").into()
}

async fn fault(fetcher: &Fetcher, document: &Document) -> Fault {
    fetcher.fetch(document, SIZE_MAX).await.expect_err("a fault")
}

mod inline {
    use super::*;

    fn fetcher() -> Fetcher {
        Fetcher::new(&Sources::default()).expect("sources")
    }

    #[tokio::test]
    async fn base64_is_read_with_and_without_padding() {
        for content in ["aGk=", "aGk"] {
            let document = Document { content: Some(content.into()), ..Document::default() };
            assert_eq!(fetcher().fetch(&document, 2).await.expect("bytes").bytes, b"hi");
        }
    }

    #[tokio::test]
    async fn the_limit_counts_decoded_bytes() {
        let content = base64::engine::general_purpose::STANDARD.encode([7; 1_001]);
        let document = Document { content: Some(content), ..Document::default() };
        assert_eq!(fault(&fetcher(), &document).await.code, Code::DocumentTooLarge);
    }

    #[tokio::test]
    async fn a_document_that_is_nowhere_lacks_a_field() {
        assert_eq!(fault(&fetcher(), &Document::default()).await.code, Code::RecordMissingField);
    }
}

mod files {
    use super::*;

    #[tokio::test]
    async fn a_file_below_a_root_is_read_under_its_decoded_name() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("仕様 書.txt");
        std::fs::write(&path, "hi").expect("a file");
        let fetched = below(root.path()).fetch(&from(file_uri(&path)), SIZE_MAX).await.expect("read");
        assert_eq!(fetched.bytes, b"hi");
        assert_eq!(fetched.file_name.as_deref(), Some("仕様 書.txt"));
    }

    #[tokio::test]
    async fn nothing_outside_the_roots_is_read_by_whatever_way() {
        let outside = tempfile::tempdir().expect("a folder");
        std::fs::write(outside.path().join("secret"), "x").expect("a file");
        let root = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(outside.path(), root.path().join("folder")).expect("a link");
        let (root_url, name) = (file_uri(root.path()), outside.path().file_name().expect("a name"));
        for uri in [
            file_uri(&outside.path().join("secret")),
            format!("{root_url}/link"),
            format!("{root_url}/folder/secret"),
            format!("{root_url}/../{}/secret", name.to_string_lossy()),
            format!("{root_url}/..%2F{}%2Fsecret", name.to_string_lossy()),
            format!("{root_url}-other/secret"),
            "file://elsewhere/secret".into(),
            "file:///etc/no-such-file".into(),
        ] {
            assert_eq!(
                fault(&below(root.path()), &from(uri.clone())).await.code,
                Code::SourceForbidden,
                "{uri}"
            );
        }
    }

    #[tokio::test]
    async fn a_link_within_the_roots_is_followed() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("v2.txt"), "hi").expect("a file");
        std::os::unix::fs::symlink("v2.txt", root.path().join("current")).expect("a link");
        let uri = file_uri(&root.path().join("current"));
        assert_eq!(below(root.path()).fetch(&from(uri), SIZE_MAX).await.expect("read").bytes, b"hi");
    }

    #[tokio::test]
    async fn what_is_no_readable_file_of_fitting_size_has_its_code() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("big"), [0; 1_001]).expect("a file");
        std::fs::create_dir(root.path().join("folder")).expect("a folder");
        let socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).expect("a socket");
        for (name, code) in [
            ("big", Code::DocumentTooLarge),
            ("folder", Code::SourceForbidden),
            ("socket", Code::SourceForbidden),
            ("none", Code::SourceNotFound),
            ("big/none", Code::SourceNotFound),
            ("a%00b", Code::SourceForbidden),
        ] {
            let uri = format!("{}/{name}", file_uri(root.path()));
            assert_eq!(fault(&below(root.path()), &from(uri)).await.code, code, "{name}");
        }
        drop(socket);
    }
}

mod http {
    use super::*;

    /// Serves the routes on loopback and fetches from there only.
    async fn serve(routes: Router) -> (String, Fetcher) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let sources =
            Sources { http_hosts: vec![host.clone()], timeout: Span::millis(2_000), ..Sources::default() };
        (format!("http://{host}"), Fetcher::new(&sources).expect("sources"))
    }

    /// A route that answers with this status and these headers.
    fn answer(status: u16, headers: &'static [(&'static str, &'static str)]) -> axum::routing::MethodRouter {
        get(move || async move {
            let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from("body")).expect("a response")
        })
    }

    async fn fault_of(routes: Router, path: &str) -> Fault {
        let (base, fetcher) = serve(routes).await;
        fault(&fetcher, &from(format!("{base}{path}"))).await
    }

    #[tokio::test]
    async fn a_body_comes_with_its_type_and_the_name_in_its_path() {
        let page = answer(200, &[("content-type", "text/html; charset=euc-jp")]);
        let (base, fetcher) = serve(Router::new().route("/docs/{name}", page)).await;
        let document = from(format!("{base}/docs/my%20page.html?token=secret"));
        let fetched = fetcher.fetch(&document, SIZE_MAX).await.expect("fetched");
        assert_eq!(fetched.bytes, b"body");
        assert_eq!(fetched.media_type.as_deref(), Some("text/html; charset=euc-jp"));
        assert_eq!(fetched.file_name.as_deref(), Some("my page.html"));
    }

    #[tokio::test]
    async fn the_document_s_own_type_and_name_win() {
        let page = answer(200, &[("content-type", "text/plain")]);
        let (base, fetcher) = serve(Router::new().route("/a", page)).await;
        let document = Document {
            media_type: Some("text/markdown".into()),
            file_name: Some("b.md".into()),
            ..from(format!("{base}/a"))
        };
        let fetched = fetcher.fetch(&document, SIZE_MAX).await.expect("fetched");
        assert_eq!(fetched.media_type.as_deref(), Some("text/markdown"));
        assert_eq!(fetched.file_name.as_deref(), Some("b.md"));
    }

    #[tokio::test]
    async fn every_status_has_its_code_and_only_a_passing_failure_its_wait() {
        for (status, code) in [
            (404, Code::SourceNotFound),
            (410, Code::SourceNotFound),
            (401, Code::SourceDenied),
            (403, Code::SourceDenied),
            (451, Code::SourceDenied),
            (408, Code::SourceUnavailable),
            (429, Code::SourceUnavailable),
            (500, Code::SourceUnavailable),
            (503, Code::SourceUnavailable),
        ] {
            let routes = Router::new().route("/a", answer(status, &[("retry-after", "17")]));
            let fault = fault_of(routes, "/a").await;
            assert_eq!((fault.code, fault.status), (code, Some(status)));
            let wait = (code == Code::SourceUnavailable).then_some(Duration::from_secs(17));
            assert_eq!(fault.retry_after, wait, "{status}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_followed_to_the_listed_host() {
        let routes = Router::new()
            .route("/a", answer(302, &[("location", "/b")]))
            .route("/b", answer(308, &[("location", "c")]))
            .route("/c", answer(200, &[]));
        let (base, fetcher) = serve(routes).await;
        assert_eq!(
            fetcher.fetch(&from(format!("{base}/a")), SIZE_MAX).await.expect("fetched").bytes,
            b"body"
        );
    }

    #[tokio::test]
    async fn a_redirect_leads_nowhere_else() {
        let (elsewhere, _) = serve(Router::new().route("/a", answer(200, &[]))).await;
        let location: &'static str = format!("{elsewhere}/a").leak();
        for location in
            [location, "http://169.254.169.254/latest", "file:///etc/hostname", "http://u:p@[::1]/"]
        {
            let headers: &'static [(&str, &str)] = vec![("location", location)].leak();
            let fault = fault_of(Router::new().route("/a", answer(302, headers)), "/a").await;
            assert_eq!(fault.code, Code::SourceForbidden, "{location}");
            assert!(!fault.message.contains("u:p"), "{}", fault.message);
        }
    }

    #[tokio::test]
    async fn redirects_in_a_circle_end() {
        let fault = fault_of(Router::new().route("/a", answer(302, &[("location", "/a")])), "/a").await;
        assert_eq!(fault.code, Code::SourceForbidden);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_not_read_to_its_end() {
        let endless = get(|| async {
            let chunks = futures::stream::repeat(Bytes::from_static(&[b'x'; 100]));
            Body::from_stream(chunks.map(Ok::<_, std::io::Error>))
        });
        assert_eq!(fault_of(Router::new().route("/a", endless), "/a").await.code, Code::DocumentTooLarge);
        let announced = get(|| async { vec![0u8; 1_001] });
        assert_eq!(fault_of(Router::new().route("/a", announced), "/a").await.code, Code::DocumentTooLarge);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_taken_for_the_whole() {
        let broken = get(|| async {
            let chunks = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))];
            ([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(futures::stream::iter(chunks)))
        });
        assert_eq!(fault_of(Router::new().route("/a", broken), "/a").await.code, Code::SourceUnavailable);
    }

    #[tokio::test]
    async fn a_server_that_stalls_is_given_up() {
        let stalled = get(|| async {
            let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]);
            Body::from_stream(first.chain(futures::stream::pending()))
        });
        let fault = fault_of(Router::new().route("/a", stalled), "/a").await;
        assert_eq!(fault.code, Code::SourceUnavailable);
        assert!(fault.message.contains("sources.timeout"), "{}", fault.message);
    }

    #[tokio::test]
    async fn a_closed_port_is_a_passing_failure_that_tells_no_secrets() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let sources = Sources { http_hosts: vec![host.clone()], ..Sources::default() };
        let fetcher = Fetcher::new(&sources).expect("sources");
        let fault = fault(&fetcher, &from(format!("http://{host}/a?signature=secret"))).await;
        assert_eq!(fault.code, Code::SourceUnavailable);
        assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
    }

    fn allowed(hosts: &[&str], uri: &str) -> bool {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let http = super::super::http::Http::to(&hosts).expect("hosts");
        http.permit(&Url::parse(uri).expect("a URL")).is_ok()
    }

    #[test]
    fn a_host_is_allowed_by_name_and_port() {
        assert!(allowed(&["docs.example.com"], "https://DOCS.example.com/a"));
        assert!(allowed(&["docs.example.com"], "http://docs.example.com:80/a"));
        assert!(allowed(&["docs.example.com:443"], "https://docs.example.com/a"));
        assert!(allowed(&["docs.example.com:8443"], "https://docs.example.com:8443/a"));
        assert!(allowed(&["[::1]:8080"], "http://[::1]:8080/a"));
        assert!(allowed(&["例え.jp"], "https://xn--r8jz45g.jp/"));
    }

    #[test]
    fn everything_else_is_refused() {
        assert!(!allowed(&[], "https://docs.example.com/a"));
        assert!(!allowed(&["example.com"], "https://docs.example.com/a"));
        assert!(!allowed(&["docs.example.com"], "https://docs.example.com.evil.net/a"));
        assert!(!allowed(&["docs.example.com"], "https://docs.example.com:8443/a"));
        assert!(!allowed(&["docs.example.com"], "https://user:pw@docs.example.com/a"));
        assert!(!allowed(&["docs.example.com"], "https://docs.example.com@evil.net/a"));
        assert!(!allowed(&["localhost"], "http://2130706433/a"));
    }

    #[test]
    fn an_entry_that_is_no_host_is_refused_at_start() {
        for entry in ["https://docs.example.com", "a b", "host:port", "host:70000", ""] {
            let sources = Sources { http_hosts: vec![entry.into()], ..Sources::default() };
            assert!(Fetcher::new(&sources).is_err(), "{entry}");
        }
    }
}
