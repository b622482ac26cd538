//! Tests of the whole, from outside: against a real Kafka and a real registry where they say so, otherwise
//! against librdkafka's mock cluster.

mod config_cli;
mod dlq;
mod extract;
mod registry;
mod submit;
mod support;
mod topics;
