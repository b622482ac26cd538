//! Which piece it was. Kafka takes or refuses records by the batch, and librdkafka gives every record of a refused
//! batch the same error, the sound ones too. So suspects are tried in transactions of their own, all of which are
//! undone.

use std::sync::Arc;

use super::steps::Steps;
use super::{Piece, TransactError, blocking};
use crate::kafka::produce_error::ProduceError;

/// After a refusal the numbering of records starts anew, for which librdkafka may undo one more transaction.
const TRIES: u32 = 3;

/// Finds the piece that is refused when it stands alone. `blamed` is the piece that the error came with.
pub async fn find(steps: &Arc<Steps>, batch: &[Piece], blamed: u64, error: ProduceError) -> TransactError {
    let (Some(topic), true) = (batch_topic(&error), batch.len() > 1) else {
        return TransactError::Record { tag: blamed, error };
    };
    let writes_there = |piece: &&Piece| piece.records.iter().any(|record| *record.topic == *topic);
    let (first, others): (Vec<&Piece>, Vec<&Piece>) =
        batch.iter().filter(writes_there).partition(|p| p.tag == blamed);
    match search(steps, &first, &others).await {
        Ok(Some((tag, error))) => TransactError::Record { tag, error },
        Ok(None) => {
            TransactError::Again { cause: format!("{error}; yet no record is refused when it stands alone") }
        }
        Err(error) => error,
    }
}

async fn search(
    steps: &Arc<Steps>,
    blamed: &[&Piece],
    mut suspects: &[&Piece],
) -> Result<Option<(u64, ProduceError)>, TransactError> {
    if let Some(found) = alone(steps, blamed).await? {
        return Ok(Some(found));
    }
    while suspects.len() > 1 {
        let (one, other) = suspects.split_at(suspects.len() / 2);
        suspects = if probe(steps, one).await?.is_some() { one } else { other };
    }
    alone(steps, suspects).await
}

async fn alone(steps: &Arc<Steps>, suspect: &[&Piece]) -> Result<Option<(u64, ProduceError)>, TransactError> {
    let Some(piece) = suspect.first() else { return Ok(None) };
    Ok(probe(steps, suspect).await?.map(|error| (piece.tag, error)))
}

/// Why these are refused, if they are. Leaves nothing behind.
async fn probe(steps: &Arc<Steps>, pieces: &[&Piece]) -> Result<Option<ProduceError>, TransactError> {
    let mut tries = 0;
    loop {
        steps.begin()?;
        let delivered = steps.deliver(pieces).await;
        blocking(steps, Steps::abort).await?;
        match delivered {
            Ok(()) => return Ok(None),
            Err(TransactError::Record { error, .. }) => return Ok(Some(error)),
            Err(TransactError::Again { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The topic, where the error may be another record's of the same batch.
fn batch_topic(error: &ProduceError) -> Option<&str> {
    match error {
        ProduceError::TooLarge { topic, .. }
        | ProduceError::Timestamp { topic, .. }
        | ProduceError::Other { topic, .. } => Some(topic),
        // These concern the topic as a whole.
        ProduceError::UnknownTopic(_) | ProduceError::NotAuthorized(_) | ProduceError::Unavailable { .. } => {
            None
        }
    }
}
