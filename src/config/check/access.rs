//! Rules about the HTTP API: where it is served, and who may use it.

use std::time::Duration;

use url::Url;

use super::Findings;
use super::connections::{is_loopback, url};
use crate::config::address;
use crate::config::model::{Jwks, Oidc, Ops};

/// A token may be used for so much longer than its issuer meant.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

pub fn check(ops: &Ops, found: &mut Findings) {
    let Some(listen) = &ops.listen else {
        for (name, is_there) in [("tokens", ops.tokens.is_some()), ("oidc", ops.oidc.is_some())] {
            if is_there {
                let message = format!("'{name}' has no effect without an API");
                found.error(format!("ops.{name}"), message, "add 'listen: 127.0.0.1:9465'");
            }
        }
        return;
    };
    let is_loopback = is_loopback(listen, "ops.listen", "127.0.0.1:9465", found);
    if is_loopback == Some(false) && ops.tokens.is_none() && ops.oidc.is_none() {
        found.error(
            "ops.listen",
            format!("{listen} can be reached from other machines, and the API would be open to them"),
            "make tokens with `lazaret ops token` and name them with 'tokens: { file: PATH }', or keep it on 127.0.0.1",
        );
    }
    if let Some(oidc) = &ops.oidc {
        issuer(oidc, found);
    }
}

fn issuer(oidc: &Oidc, found: &mut Findings) {
    safe_url(&oidc.issuer, "ops.oidc.issuer", found);
    if let Some(Jwks::Url(jwks)) = &oidc.jwks {
        safe_url(jwks, "ops.oidc.jwks", found);
    }
    if oidc.audience.is_empty() {
        let hint = "write what the issuer puts into 'aud' of tokens for this API";
        found.error("ops.oidc.audience", "every token would do, whomever it was made for", hint);
    }
    if oidc.leeway.0 > LEEWAY_MAX {
        let message = format!("tokens would be good for {} longer than they say", oidc.leeway);
        found.error("ops.oidc.leeway", message, "write at most 10m");
    }
    if oidc.grants.is_empty() {
        let hint = "add one such as { claim: groups, has: operators, role: operator }";
        found.error("ops.oidc.grants", "nothing is granted to anybody", hint);
    }
    for (n, grant) in oidc.grants.iter().enumerate() {
        if grant.claim.is_empty() || grant.has.is_empty() {
            let hint = "name a claim, and what it has to have";
            found.error(format!("ops.oidc.grants[{n}]"), "this grant would fit nobody", hint);
        }
    }
}

/// Whoever can change keys on the way can be anybody.
fn safe_url(text: &str, path: &str, found: &mut Findings) {
    url(text, path, found);
    if Url::parse(text).is_ok_and(|url| !is_safe(&url)) {
        let message = "what is read from there could be changed on the way";
        found.error(path, message, "use https, or name a file with the keys: 'jwks: { file: PATH }'");
    }
}

/// By TLS, or on this machine.
pub fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || address::is_loopback(url)
}
