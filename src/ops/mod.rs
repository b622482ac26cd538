//! What operators do. One implementation behind every surface: nothing here prints or parses arguments.

pub mod schemas;
