//! The one YAML file: what it may say (`model`), in which units (`units`), how it is read (`load`) and what
//! must fit together (`check`).
//!
//! ```text
//! text ─► source (variables, lines) ─► YAML ─► model ─► check ─► Config
//!             └──────────── problems, each with place and hint ───────┘
//! ```

pub mod expression;
pub mod mask;
pub mod model;
mod money;
pub mod schedule;
pub mod units;

mod address;
mod alone;
mod check;
mod explain;
mod kind;
mod load;
mod problem;
mod properties;
mod schema;
mod secret;
mod source;
pub mod suggest;
pub mod template;
mod text;
mod variables;

pub use address::{AddressError, http_address, is_loopback};
pub(crate) use check::{check, check_rules, in_the_clear, is_safe};
pub use kind::Asks;
pub use load::{DEFAULT_FILE, Loaded, load_file, load_text};
pub use model::*;
pub use money::{Amount, Price};
pub use problem::{ConfigErrors, Problem, Severity};
pub use properties::reserved;
pub use schema::schema;
pub use secret::SecretError;
pub use units::{Size, Span};

/// What must hold before a redrive is started, by the names by which a person or a rule sets it aside.
pub const CONDITIONS: [&str; 9] =
    ["changed", "provider", "running", "lag", "alone", "loop", "ledger", "retention", "cost"];
