//! What somebody may do with dead letters over the HTTP API. Roles are bundles of rights; to see payloads is a right of its
//! own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Right {
    /// What is known of dead letters, without their records.
    #[serde(rename = "dlq:view")]
    View,
    /// Key, headers and payload of records, without what is masked.
    #[serde(rename = "dlq:payload")]
    Payload,
    /// The same with what is masked. It is written down who saw it.
    #[serde(rename = "dlq:unmask")]
    Unmask,
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
    pub const ALL: [Right; 14] = [
        Right::View,
        Right::Payload,
        Right::Unmask,
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
            Right::Unmask => "dlq:unmask",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_have_one_name_everywhere() {
        for right in Right::ALL {
            assert_eq!(Right::parse(right.as_str()), Some(right));
            assert_eq!(serde_json::to_value(right).unwrap(), right.as_str());
        }
    }

    #[test]
    fn roles_grow_and_only_an_admin_sees_payloads_by_role() {
        let [viewer, operator, admin] = Role::ALL.map(Role::rights);
        assert!(viewer.iter().all(|right| operator.contains(right)));
        assert!(operator.iter().all(|right| admin.contains(right)));
        assert!(!operator.contains(&Right::Payload) && admin.contains(&Right::Payload));
    }
}
