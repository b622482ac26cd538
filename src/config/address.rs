//! Addresses of servers that are asked over HTTP: what is none, and which are on this machine. Asks nobody.

use std::net::IpAddr;

use url::Url;

/// Why a text is no such address. What to do about it is for whoever knows where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("not a URL ({0})")]
    NotUrl(#[from] url::ParseError),
    #[error("not an http or https address")]
    NotHttp,
    /// An address is shown in messages.
    #[error("it carries credentials")]
    Credentials,
}

/// An http or https address that can be shown.
pub fn http_address(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text)?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(AddressError::NotHttp);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    Ok(url)
}

/// Whether it is this machine's own: nobody stands between, not even the proxy that the environment names.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_this_machine)
}

/// A host name, or an address with or without brackets.
pub fn is_this_machine(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http_without_credentials() {
        assert!(http_address("https://id.example/token?x=1").is_ok());
        assert!(matches!(http_address("collector"), Err(AddressError::NotUrl(_))));
        for other in ["grpc://collector:4317", "file:///etc/passwd", "unix:/run/socket"] {
            assert_eq!(http_address(other), Err(AddressError::NotHttp), "{other}");
        }
        for secret in ["http://u:s3cr3t@c:4318", "https://u@c", "https://:s3cr3t@c"] {
            let error = http_address(secret).unwrap_err();
            assert_eq!(error, AddressError::Credentials);
            assert!(!error.to_string().contains("s3cr3t"));
        }
    }

    #[test]
    fn this_machine_is_localhost_and_what_is_numbered_as_it() {
        let of = |text: &str| is_loopback(&Url::parse(text).unwrap());
        assert!(["http://localhost:1", "http://127.0.0.9", "http://[::1]:1"].into_iter().all(of));
        assert!(!["http://localhost.example", "http://10.0.0.1", "file:///x"].into_iter().any(of));
    }
}
