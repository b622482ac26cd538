//! The Kafka edge against a real Kafka: who reads what when members come and go, what is committed, and what a
//! transaction leaves behind.

mod bench;
mod membership;
mod pick;
mod positions;
mod transaction;
