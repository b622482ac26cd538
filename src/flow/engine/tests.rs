mod driver;
mod failures;
mod flow;
mod order;
mod pauses;
mod rebalances;
mod transactions;
