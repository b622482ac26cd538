//! The one YAML file: what it may say (`model`), the units it says it in (`units`).

mod kind;
pub mod model;
pub mod secret;
pub mod units;

pub use model::*;
pub use secret::SecretError;
pub use units::{Size, Span};
