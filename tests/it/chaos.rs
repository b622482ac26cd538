//! Real workers against a real cluster of three brokers while one or the other is killed, stopped, cut off or
//! changed. Whatever happens, nothing may be lost, doubled, overtaken, or paid for twice; an independent checker says
//! whether that is so, and `lazaret verify` must say the same.
//!
//! They run when LAZARET_TEST_CLUSTER names a cluster that `scripts/parts.sh kafka start 3 proxied` has started, one
//! after the other, since they break what they share. LAZARET_CHAOS_SEED repeats a run's dice.

mod brokers;
mod checker;
mod cluster;
mod cut;
mod ledger;
mod load;
mod postgres;
mod proxy;
mod storm;
mod topics;
mod workers;
