mod driver;
mod failures;
mod flow;
mod order;
mod parking;
mod pauses;
mod rebalances;
mod transactions;
