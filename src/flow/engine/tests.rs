mod driver;
mod failures;
mod flow;
mod pauses;
mod rebalances;
