//! Tokens by which somebody is known, as hashes: who reads the file cannot use it. Pure, but for making one.
//!
//! A line each: `NAME ROLE[+RIGHT…] HASH [expires=TIME] [pipeline=NAME] [stage=NAME] [tenant=NAME]`. Tokens are random, so that a
//! fast hash is enough.

use std::sync::Arc;

use base64::Engine as _;
use jiff::Timestamp;

use super::{Right, Role, Scope, Who};
use crate::message::trail::is_id;
use crate::quarantine::BY_INDEX;

const PREFIX: &str = "lzt_";
const HASH: &str = "blake3:";

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct TokensError {
    pub line: usize,
    pub why: String,
}

/// Who is known.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Known>);

#[derive(Clone, Debug)]
struct Known {
    hash: blake3::Hash,
    expires: Option<Timestamp>,
    who: Arc<Who>,
}

impl Tokens {
    /// Reads the lines; empty ones, and those that begin with `#`, are passed over.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let mut all: Vec<Known> = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let known = of_line(line).map_err(|why| TokensError { line: n + 1, why })?;
            if all.iter().any(|other| other.who.name == known.who.name) {
                let why = format!("'{}' is named twice", known.who.name);
                return Err(TokensError { line: n + 1, why });
            }
            all.push(known);
        }
        match all.is_empty() {
            true => {
                Err(TokensError { line: 1, why: "there is no token; `lazaret ops token` makes one".into() })
            }
            false => Ok(Self(all)),
        }
    }

    /// Whether it may be one of these, and not of somebody else.
    pub fn is_like(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Whose token it is, unless its time is over.
    pub fn find(&self, token: &str, now: Timestamp) -> Option<Arc<Who>> {
        let hash = blake3::hash(token.as_bytes());
        // Hashes are compared in constant time.
        let known = self.0.iter().find(|known| known.hash == hash)?;
        known.expires.is_none_or(|expires| now < expires).then(|| known.who.clone())
    }
}

/// Whether acts may be written down in this name.
pub fn is_person(name: &str) -> bool {
    is_id(name) && name != BY_INDEX && !name.starts_with("rule:")
}

fn of_line(line: &str) -> Result<Known, String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(role), Some(hash)) = (words.next(), words.next(), words.next()) else {
        return Err("write a name, a role and a hash, as `lazaret ops token` does".into());
    };
    if !is_person(name) {
        return Err("the name is too long, or one that rules and the index have".into());
    }
    let mut bundle = role.split('+');
    let role = bundle.next().unwrap_or_default();
    let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
    let role = role.ok_or("the role is none of viewer, operator, admin")?;
    let mut rights: std::collections::BTreeSet<Right> = role.rights().iter().copied().collect();
    for right in bundle {
        rights.insert(Right::parse(right).ok_or_else(|| format!("there is no right '{right}'"))?);
    }
    // What stands there may be a token that somebody wrote down by mistake: it is not repeated.
    let hash = hash.strip_prefix(HASH).and_then(|hex| blake3::Hash::from_hex(hex).ok());
    let hash = hash.ok_or("the hash is not one: it is blake3: and 64 hexadecimal digits")?;
    let (mut expires, mut scope) = (None, Scope::default());
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("'{word}' is not KEY=VALUE"))?;
        match key {
            "expires" => expires = Some(value.parse().map_err(|_| format!("'{value}' is not a time"))?),
            "pipeline" => scope.pipeline = Some(value.into()),
            "stage" => scope.stage = Some(value.into()),
            "tenant" => scope.tenant = Some(value.into()),
            _ => return Err(format!("'{key}' is none of expires, pipeline, stage, tenant")),
        }
    }
    Ok(Known { hash, expires, who: Arc::new(Who { name: name.into(), rights, scope }) })
}

/// A new token, and the line that makes it known.
pub struct Minted {
    pub token: String,
    pub line: String,
}

impl Minted {
    /// Takes its randomness from the operating system.
    pub fn new(
        name: &str,
        role: Role,
        more: &[Right],
        scope: &Scope,
        expires: Option<Timestamp>,
    ) -> Result<Self, String> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
        let token = format!("{PREFIX}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret));
        let mut line = format!("{name} {}", role.as_str());
        more.iter().for_each(|right| line.push_str(&format!("+{}", right.as_str())));
        line.push_str(&format!(" {HASH}{}", blake3::hash(token.as_bytes()).to_hex()));
        let expires = expires.map(|time| format!("{time:.0}"));
        let words = [
            ("expires", &expires),
            ("pipeline", &scope.pipeline),
            ("stage", &scope.stage),
            ("tenant", &scope.tenant),
        ];
        for (key, value) in words {
            value.iter().for_each(|value| line.push_str(&format!(" {key}={value}")));
        }
        // What could not be read again, such as a name of two words, is said now.
        of_line(&line)?;
        Ok(Self { token, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_token_that_was_made_is_known_by_its_line_until_its_time_is_over() {
        let scope = Scope { tenant: Some("acme".into()), ..Scope::default() };
        let minted =
            Minted::new("kim", Role::Operator, &[Right::Payload], &scope, Some(at(100))).expect("made");
        assert!(minted.token.starts_with("lzt_") && minted.token.len() == 47, "{}", minted.token);
        assert!(!minted.line.contains(&minted.token));
        let tokens = Tokens::parse(&format!("# people\n\n{}\n", minted.line)).expect("read");
        let who = tokens.find(&minted.token, at(99)).expect("known");
        assert_eq!((who.name.as_str(), &who.scope), ("kim", &scope));
        assert!(who.may(Right::Payload) && who.may(Right::Restore) && !who.may(Right::Admin));
        assert!(tokens.find(&minted.token, at(100)).is_none(), "its time is over");
        assert!(tokens.find("lzt_other", at(1)).is_none());
        assert!(tokens.find("", at(1)).is_none());
    }

    #[test]
    fn no_token_is_like_another() {
        let token = || Minted::new("kim", Role::Viewer, &[], &Scope::default(), None).expect("made").token;
        assert_ne!(token(), token());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_never_repeated_as_a_whole() {
        let hash = format!("blake3:{}", blake3::hash(b"x").to_hex());
        for (text, why) in [
            ("".to_owned(), "line 1: there is no token"),
            ("# only words\n".into(), "there is no token"),
            ("kim viewer".into(), "line 1: write a name"),
            (format!("kim boss {hash}"), "the role is none of"),
            (format!("kim viewer+fly {hash}"), "no right 'fly'"),
            ("kim viewer lzt_secret".into(), "the hash is not one"),
            (format!("kim viewer {hash}\nkim admin {hash}"), "line 2: 'kim' is named twice"),
            (format!("rule:sweep viewer {hash}"), "one that rules"),
            (format!("kim viewer {hash} expires=soon"), "'soon' is not a time"),
            (format!("kim viewer {hash} colour=red"), "'colour' is none of"),
        ] {
            let error = Tokens::parse(&text).expect_err(&text).to_string();
            assert!(error.contains(why) && !error.contains("lzt_secret"), "{error}");
        }
        assert!(Minted::new("two words", Role::Viewer, &[], &Scope::default(), None).is_err());
    }
}
