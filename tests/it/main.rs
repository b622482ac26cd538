//! Tests of the `lazaret` executable and of what only shows with real processes and brokers.

mod extract;
