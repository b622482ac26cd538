//! Who asks, what that is allowed to do, and with which dead letters. Plain data.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::Problem;
pub use crate::config::{Right, Role};
use crate::quarantine::{Entry, Filter};

/// The part of all dead letters that somebody may know of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Scope {
    pub pipeline: Option<String>,
    pub stage: Option<String>,
    pub tenant: Option<String>,
}

impl Scope {
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    pub fn has(&self, entry: &Entry) -> bool {
        let is =
            |wanted: &Option<String>, value: Option<&str>| wanted.is_none() || wanted.as_deref() == value;
        is(&self.pipeline, Some(&entry.pipeline))
            && is(&self.stage, Some(&entry.stage))
            && is(&self.tenant, entry.tenant.as_deref())
    }

    /// The filter within this part.
    pub fn narrow(&self, filter: Filter) -> Result<Filter, Problem> {
        let both = |own: &Option<String>, asked: Option<String>, what: &str| match (own, asked) {
            (Some(own), Some(asked)) if *own != asked => {
                let hint = format!("leave {what} out, or ask for '{own}'");
                Err(Problem::forbidden(format!("this token is for another {what}"), hint))
            }
            (Some(own), _) => Ok(Some(own.clone())),
            (None, asked) => Ok(asked),
        };
        Ok(Filter {
            pipeline: both(&self.pipeline, filter.pipeline.clone(), "pipeline")?,
            stage: both(&self.stage, filter.stage.clone(), "stage")?,
            tenant: both(&self.tenant, filter.tenant.clone(), "tenant")?,
            ..filter
        })
    }
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Who {
    /// In whose name acts are written down.
    pub name: String,
    pub rights: BTreeSet<Right>,
    pub scope: Scope,
}

impl Who {
    /// Everybody who reaches an address of this machine that asks for no token.
    pub fn local() -> Self {
        Self { name: "local".into(), rights: Right::ALL.into(), scope: Scope::default() }
    }

    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    pub fn need(&self, right: Right) -> Result<(), Problem> {
        if self.may(right) {
            return Ok(());
        }
        let detail = format!("'{}' does not have the right '{}'", self.name, right.as_str());
        Err(Problem::forbidden(detail, "ask whoever gives out tokens; `/v1/me` lists the rights of yours"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::contract::letter;

    #[test]
    fn a_part_narrows_every_filter_and_is_not_left() {
        let scope = Scope { tenant: Some("acme".into()), ..Scope::default() };
        let narrowed = scope.narrow(Filter::default()).expect("allowed");
        assert_eq!(narrowed.tenant.as_deref(), Some("acme"));
        let other = Filter { tenant: Some("beta".into()), ..Filter::default() };
        assert!(scope.narrow(other).is_err());
        assert!(scope.has(&letter(1)));
        assert!(!scope.has(&Entry { tenant: None, ..letter(1) }));
        assert!(!Scope { stage: Some("parse".into()), ..scope }.has(&letter(1)));
    }
}
