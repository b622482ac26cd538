//! What operators do. One implementation behind every surface: nothing here prints or parses arguments.

pub mod advice;
pub mod archive;
pub mod capacity;
pub mod dlq;
pub mod doctor;
pub mod job;
pub mod lag;
pub mod offsets;
pub mod quarantine;
pub mod redrive;
pub mod schemas;
pub mod submit;
pub mod sweep;
pub mod topics;
pub mod verify;
