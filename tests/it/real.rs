//! Where the real servers are that tests need. The tests of the library include it, too.

/// The address of a real server, from the environment. `None` only when the real tests are to be passed over on purpose.
pub fn real(server: &str, variable: &str, form: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(address) => Some(address),
        Err(_) if std::env::var("LAZARET_TEST_SKIP_REAL").is_ok_and(|v| v == "1") => None,
        Err(_) => panic!(
            "this test needs a real {server}: run `make test`, which starts one, or set {variable}={form}, or set \
             LAZARET_TEST_SKIP_REAL=1 to pass such tests over"
        ),
    }
}

/// The one PostgreSQL that tests share.
pub fn postgres() -> Option<String> {
    real("PostgreSQL", "LAZARET_TEST_POSTGRES", "postgres://user@host:port/database")
}
