//! Tests of the whole, from outside, in one binary so that the crate is linked once: against a real Kafka
//! and a real registry where they say so, otherwise against librdkafka's mock cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod acts;
mod api;
mod archive;
mod chaos;
mod config_cli;
mod demo;
mod dlq;
mod docs;
mod doctor;
mod export;
mod extract;
mod foreign;
mod kafka;
mod library;
mod many;
mod part;
mod postgres;
mod quarantine;
mod real;
mod registry;
mod rig;
mod run;
mod secured;
mod submit;
mod support;
mod topics;
mod upgrade;
mod verify;
mod watch;
