//! Who may change which headers: those by which Lazaret knows a record nobody, those by which people do only who says so. Pure.

use std::collections::BTreeMap;

use crate::message::headers::{FEATURE, JOB_ID, MODEL, PRODUCER_ID, RESOURCE_ID, TENANT_ID, TRACEPARENT};
use crate::message::{Correlation, Headers};
use crate::ops::advice::Advice;
use crate::quarantine::Mask;

/// Longest name, and value, of a header that is set.
const NAME_MAX: usize = 512;
const VALUE_MAX: usize = 32 << 10;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Locked,
    Sensitive,
    Free,
}

/// A header that gets this value, or goes.
pub type Wanted = (String, Option<String>);

/// Whose a record is, and what it is about. They can be given to one that died because it did not say, and to no other.
const ONCE: [&str; 2] = [TENANT_ID, RESOURCE_ID];

fn class(name: &str, mask: &Mask) -> Class {
    const LOCKED: [&str; 3] = [JOB_ID, TRACEPARENT, "tracestate"];
    const SENSITIVE: [&str; 5] = [PRODUCER_ID, FEATURE, MODEL, "authorization", "cookie"];
    let is = |one: &&str| name.eq_ignore_ascii_case(one);
    let begins = |with: &str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    match name {
        _ if LOCKED.iter().any(is) || begins("lazaret.") || begins("dlq.") => Class::Locked,
        _ if SENSITIVE.iter().chain(&ONCE).any(is) || mask.hides(name) => Class::Sensitive,
        _ => Class::Free,
    }
}

/// Refuses what must not be changed of a record that has these ids.
pub fn allow_for(wanted: &[Wanted], ids: &Correlation) -> Result<(), Advice> {
    let has = [ids.tenant.is_some(), ids.resource.is_some()];
    let taken = ONCE.iter().zip(has).filter(|(_, has)| *has).map(|(name, _)| *name);
    let touched = |name: &&str| wanted.iter().any(|(of, _)| of.eq_ignore_ascii_case(name));
    match taken.into_iter().find(touched) {
        Some(name) => Err(locked(name)),
        None => Ok(()),
    }
}

fn locked(name: &str) -> Advice {
    let message = format!("header '{name}' is locked: by it Lazaret knows the record");
    Advice::new(message, "change the payload, or send another record")
}

/// Refuses what must not be changed.
pub fn allow(wanted: &[Wanted], sensitive: bool, mask: &Mask) -> Result<(), Advice> {
    for (name, value) in wanted {
        let is_strange = name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control);
        if is_strange || value.as_ref().is_some_and(|value| value.len() > VALUE_MAX) {
            let bounds =
                format!("a name has 1 to {NAME_MAX} bytes, without control characters, a value {VALUE_MAX}");
            return Err(Advice::new(format!("header '{}' cannot be set so", name.escape_debug()), bounds));
        }
        match class(name, mask) {
            Class::Free => {}
            Class::Sensitive if sensitive => {}
            Class::Sensitive => {
                let message = format!(
                    "header '{name}' is sensitive: by it people tell whose a record is, or it is a secret"
                );
                return Err(Advice::new(message, "say that you mean it with --sensitive"));
            }
            Class::Locked => return Err(locked(name)),
        }
    }
    Ok(())
}

/// The headers with these changes: all of a name become one, where the first of them stood, or at the end.
pub fn apply(headers: &Headers, wanted: &[Wanted]) -> Headers {
    // Of several wishes about one name the last counts.
    let last: BTreeMap<&str, Option<&String>> =
        wanted.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
    let mut changed = Headers::new();
    for (name, value) in headers.shared() {
        match last.get(name) {
            None => changed.push_bytes(name.to_owned(), value.cloned()),
            Some(Some(new)) if !changed.contains(name) => changed.push_text(name.to_owned(), (*new).clone()),
            Some(_) => {}
        }
    }
    for (name, value) in last.into_iter().filter(|(name, _)| !headers.contains(name)) {
        if let Some(new) = value {
            changed.push_text(name.to_owned(), new.clone());
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Masking;
    use crate::message::JobId;

    #[test]
    fn what_names_the_record_is_locked_and_what_people_know_it_by_or_must_not_see_is_sensitive() {
        let masking = Masking { headers: vec!["x-card*".into()], ..Masking::default() };
        let mask = Mask::of(&masking);
        for name in ["job-id", "Traceparent", "lazaret.v", "DLQ.id", "dlq.anything"] {
            assert_eq!(class(name, &mask), Class::Locked, "{name}");
            assert!(allow(&[(name.into(), None)], true, &mask).is_err(), "{name}");
        }
        for name in ["tenant-id", "resource-id", "producer-id", "model", "Authorization", "x-card-number"] {
            assert_eq!(class(name, &mask), Class::Sensitive, "{name}");
            let wanted = [(name.to_owned(), Some("x".to_owned()))];
            assert!(allow(&wanted, false, &mask).is_err_and(|advice| advice.hint.contains("--sensitive")));
            assert!(allow(&wanted, true, &mask).is_ok());
        }
        for name in ["content-type", "dlq", "jobid", "é"] {
            assert_eq!(class(name, &mask), Class::Free, "{name}");
        }
        for strange in ["", "a\nb", &"x".repeat(513)] {
            assert!(allow(&[(strange.into(), None)], true, &mask).is_err());
        }
    }

    #[test]
    fn a_record_that_did_not_say_whose_it_is_can_be_given_to_somebody_and_no_other() {
        let ids = |tenant: Option<&str>| Correlation {
            job: JobId("job-1".into()),
            tenant: tenant.map(str::to_owned),
            resource: Some("a.pdf".into()),
            traceparent: String::new(),
        };
        let wanted = |name: &str| [(name.to_owned(), Some("x".to_owned()))];
        assert!(allow_for(&wanted("Tenant-ID"), &ids(None)).is_ok());
        assert!(allow_for(&wanted("tenant-id"), &ids(Some("acme"))).is_err());
        assert!(allow_for(&wanted("resource-id"), &ids(None)).is_err());
        assert!(allow_for(&wanted("content-type"), &ids(Some("acme"))).is_ok());
    }

    #[test]
    fn headers_keep_their_order_and_all_of_a_name_become_one() {
        let mut headers = Headers::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
            headers.push_text(name, value);
        }
        let told = |wanted: &[(&str, Option<&str>)]| {
            let wanted: Vec<Wanted> =
                wanted.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
            let changed = apply(&headers, &wanted);
            let told: Vec<String> = changed
                .iter()
                .map(|(name, value)| format!("{name}{}", String::from_utf8_lossy(value.unwrap_or_default())))
                .collect();
            told.join(" ")
        };
        assert_eq!(told(&[]), "a1 b2 a3 c4");
        assert_eq!(told(&[("a", Some("9"))]), "a9 b2 c4");
        assert_eq!(told(&[("b", None), ("d", Some("5"))]), "a1 a3 c4 d5");
        assert_eq!(told(&[("d", Some("5")), ("d", Some("6")), ("b", Some("7")), ("b", None)]), "a1 a3 c4 d6");
        assert_eq!(told(&[("e", None)]), "a1 b2 a3 c4");
    }
}
