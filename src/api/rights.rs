//! Who may do what. Roles are bundles of rights; to see payloads is a right of its own. Plain data.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::Problem;
use crate::quarantine::{Entry, Filter};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub enum Right {
    /// What is known of dead letters, without their records.
    #[serde(rename = "dlq:view")]
    View,
    /// Key, headers and payload of records, without what is masked.
    #[serde(rename = "dlq:payload")]
    Payload,
    /// Notes, owners, tickets, and that a cause is removed.
    #[serde(rename = "dlq:annotate")]
    Annotate,
    #[serde(rename = "redrive:plan")]
    RedrivePlan,
    #[serde(rename = "redrive:run")]
    RedriveRun,
    #[serde(rename = "redrive:approve")]
    RedriveApprove,
    /// Another payload, code or class.
    #[serde(rename = "dlq:edit")]
    Edit,
    #[serde(rename = "dlq:discard")]
    Discard,
    #[serde(rename = "dlq:restore")]
    Restore,
    #[serde(rename = "export")]
    Export,
    #[serde(rename = "rules:manage")]
    Rules,
    /// Who did what.
    #[serde(rename = "audit:view")]
    Audit,
    #[serde(rename = "admin")]
    Admin,
}

impl Right {
    pub const ALL: [Right; 13] = [
        Right::View,
        Right::Payload,
        Right::Annotate,
        Right::RedrivePlan,
        Right::RedriveRun,
        Right::RedriveApprove,
        Right::Edit,
        Right::Discard,
        Right::Restore,
        Right::Export,
        Right::Rules,
        Right::Audit,
        Right::Admin,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Right::View => "dlq:view",
            Right::Payload => "dlq:payload",
            Right::Annotate => "dlq:annotate",
            Right::RedrivePlan => "redrive:plan",
            Right::RedriveRun => "redrive:run",
            Right::RedriveApprove => "redrive:approve",
            Right::Edit => "dlq:edit",
            Right::Discard => "dlq:discard",
            Right::Restore => "dlq:restore",
            Right::Export => "export",
            Right::Rules => "rules:manage",
            Right::Audit => "audit:view",
            Right::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == text)
    }
}

/// A bundle of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Looks, notes, gives up and takes back, and sends back.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    pub fn rights(self) -> &'static [Right] {
        match self {
            Role::Viewer => &[Right::View, Right::Audit],
            Role::Operator => &[
                Right::View,
                Right::Audit,
                Right::Annotate,
                Right::RedrivePlan,
                Right::RedriveRun,
                Right::Discard,
                Right::Restore,
                Right::Export,
            ],
            Role::Admin => &Right::ALL,
        }
    }
}

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::contract::letter;

    #[test]
    fn rights_have_one_name_everywhere() {
        for right in Right::ALL {
            assert_eq!(Right::parse(right.as_str()), Some(right));
            assert_eq!(serde_json::to_value(right).expect("text"), right.as_str());
        }
    }

    #[test]
    fn roles_grow_and_only_an_admin_sees_payloads_by_role() {
        let [viewer, operator, admin] = Role::ALL.map(Role::rights);
        assert!(viewer.iter().all(|right| operator.contains(right)));
        assert!(operator.iter().all(|right| admin.contains(right)));
        assert!(!operator.contains(&Right::Payload) && admin.contains(&Right::Payload));
    }

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
