//! Tests of the whole: against a real Kafka where they say so, otherwise against librdkafka's mock cluster.

mod dlq;
mod submit;
mod support;
mod topics;
