//! Who somebody is and what that may do, by what the token says. Pure.

use serde_json::{Map, Value};

use super::Refusal;
use crate::api::tokens::is_person;
use crate::api::{Scope, Who};
use crate::config::{Grant, Oidc, Part};

type Claims = Map<String, Value>;

/// By the first grant that fits.
pub fn who(settings: &Oidc, claims: &Claims) -> Result<Who, Refusal> {
    let name = find(claims, &settings.name).and_then(Value::as_str);
    let name = name.filter(|name| is_person(name)).ok_or(Refusal::Claim)?;
    let grant = settings.grants.iter().find(|grant| fits(grant, claims)).ok_or(Refusal::Grant)?;
    let rights = grant.role.rights().iter().chain(&grant.with).copied().collect();
    let scope = Scope {
        pipeline: part(grant.pipeline.as_ref(), claims)?,
        stage: part(grant.stage.as_ref(), claims)?,
        tenant: part(grant.tenant.as_ref(), claims)?,
    };
    Ok(Who { name: name.into(), rights, scope })
}

/// A claim may have dots in its name, and may lie within others.
fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        find(claims.get(first)?.as_object()?, rest)
    })
}

fn fits(grant: &Grant, claims: &Claims) -> bool {
    match find(claims, &grant.claim) {
        // The words of `scope` are separated by spaces.
        Some(Value::String(text)) if grant.claim == "scope" => text.split(' ').any(|word| word == grant.has),
        Some(Value::String(text)) => *text == grant.has,
        Some(Value::Bool(is)) => is.to_string() == grant.has,
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(&grant.has)),
        _ => false,
    }
}

/// A part that is not named would be everything: then nobody is let in.
fn part(part: Option<&Part>, claims: &Claims) -> Result<Option<String>, Refusal> {
    match part {
        None => Ok(None),
        Some(Part::Name(name)) => Ok(Some(name.clone())),
        Some(Part::Of(of)) => {
            let name = find(claims, &of.claim).and_then(Value::as_str).filter(|name| !name.is_empty());
            name.map(|name| Some(name.to_owned())).ok_or(Refusal::Grant)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Right;

    fn told(claims: Value) -> Result<Who, Refusal> {
        let settings = json!({
            "issuer": "https://id.example", "audience": "lazaret", "name": "email",
            "grants": [
                { "claim": "groups", "has": "admins", "role": "admin" },
                { "claim": "https://example.com/roles", "has": "support", "role": "viewer", "with": ["dlq:payload"],
                  "tenant": { "claim": "org.name" }, "stage": "parse" },
                { "claim": "scope", "has": "lazaret", "role": "operator" },
                { "claim": "staff", "has": "true", "role": "viewer" },
            ],
        });
        let settings: Oidc = serde_json::from_value(settings).expect("settings");
        who(&settings, claims.as_object().expect("claims"))
    }

    #[test]
    fn the_first_grant_that_fits_says_what_somebody_may_do() {
        let claims = json!({ "email": "ada@example.com", "groups": ["all", "admins"], "scope": "lazaret" });
        let ada = told(claims).expect("known");
        assert_eq!((ada.name.as_str(), ada.may(Right::Admin)), ("ada@example.com", true));
        let ben = told(json!({ "email": "ben", "scope": "openid lazaret" })).expect("known");
        assert!(ben.may(Right::RedriveRun) && !ben.may(Right::Payload) && ben.scope.is_all());
        assert!(told(json!({ "email": "cy", "staff": true })).is_ok());
    }

    #[test]
    fn a_grant_may_be_for_a_part_that_the_token_names() {
        let claims =
            json!({ "email": "kim", "https://example.com/roles": "support", "org": { "name": "acme" } });
        let kim = told(claims).expect("known");
        let scope = Scope { stage: Some("parse".into()), tenant: Some("acme".into()), pipeline: None };
        assert_eq!((kim.scope.clone(), kim.may(Right::Payload)), (scope, true));
        for org in [json!({}), json!({ "name": "" }), json!({ "name": ["acme"] }), json!("acme")] {
            let claims = json!({ "email": "kim", "https://example.com/roles": "support", "org": org });
            assert_eq!(
                told(claims).expect_err("not let in"),
                Refusal::Grant,
                "a part that is none is not all"
            );
        }
    }

    #[test]
    fn whom_no_grant_fits_may_do_nothing() {
        for more in [
            json!({}),
            json!({ "groups": "admin" }),
            json!({ "groups": { "admins": true } }),
            json!({ "scope": "lazarets" }),
        ] {
            let mut claims = json!({ "email": "kim" });
            claims.as_object_mut().expect("claims").extend(more.as_object().expect("claims").clone());
            assert_eq!(told(claims).expect_err("not let in"), Refusal::Grant, "{more}");
        }
    }

    #[test]
    fn nobody_acts_without_a_name_or_in_that_of_a_rule() {
        for email in
            [json!(null), json!(""), json!(7), json!("a\nb"), json!("rule:sweep"), json!("lazaret ops")]
        {
            let claims = json!({ "email": email, "groups": ["admins"] });
            assert_eq!(told(claims).expect_err("not let in"), Refusal::Claim, "{email}");
        }
    }
}
