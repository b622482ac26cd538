//! Terms of input partitions: whose claims count.

use super::Shared;
use crate::ledger::LedgerError;
use crate::ledger::ending::replaced;
use crate::message::TopicPartition;

const OWN: &str = "WITH term AS MATERIALIZED (SELECT nextval('tokens') AS term),
      put AS (
        INSERT INTO terms (pipeline, stage, topic, partition, term)
        SELECT $1, $2, n.topic, n.partition, term.term FROM unnest($3::text[], $4::int[]) AS n (topic, partition), term
        ON CONFLICT (pipeline, stage, topic, partition) DO UPDATE SET term = greatest(terms.term, excluded.term))
    SELECT term FROM term";

/// It waits for pages that claim in an earlier term: what they claim is written when this one begins.
pub async fn own(
    shared: &Shared,
    pipeline: &str,
    stage: &str,
    mut families: Vec<TopicPartition>,
) -> Result<i64, LedgerError> {
    families.sort();
    let topics: Vec<String> = families.iter().map(|family| family.topic.to_string()).collect();
    let partitions: Vec<i32> = families.iter().map(|family| family.partition).collect();
    let (topics, partitions) = (&topics, &partitions);
    let term = shared.rare.ask(|line| async move {
        let client = line.client();
        let instance = &shared.who.instance;
        let epoch = "SELECT epoch FROM instances WHERE name = $1";
        let epoch = line.within(client.query_opt(epoch, &[instance])).await?;
        if epoch.map(|row| row.get::<_, i64>(0)) != Some(shared.who.epoch) {
            return Ok(None);
        }
        let term = line.within(client.query_one(OWN, &[&pipeline, &stage, topics, partitions])).await?;
        Ok(Some(term.get::<_, i64>(0)))
    });
    term.await?.ok_or_else(|| LedgerError::Unavailable(replaced(&shared.who.instance)))
}
