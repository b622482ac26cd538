//! The JSON Schema of `lazaret.yaml`, for editors. Made from the same types that read the file.

use serde_json::Value;

use super::model::Config;

/// The schema as committed in `schemas/config.schema.json`, JSON Schema 2020-12.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".into(), "Lazaret configuration".into());
    schema.to_value()
}
