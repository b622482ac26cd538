mod driver;
mod failures;
mod fairness;
mod flow;
mod order;
mod pauses;
mod rebalances;
mod transactions;
