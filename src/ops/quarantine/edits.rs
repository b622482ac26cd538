//! Edits of dead letters as they stand on the topic of operations: what an edit says, and whether there are any that somebody
//! who is about to send a letter does not know.
//!
//! The order of the topic decides between an edit and a redrive that come at once. Whoever edits looks, once nothing is open on the
//! topic, whether a redrive stands before his edit; whoever sends looks, when his act stands there and before it is
//! committed, whether an edit stands before it. So no edit counts that was not sent, and none is sent that does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::gather::act;
use crate::config::{Kafka, Size};
use crate::kafka::TransactError;
use crate::kafka::pick::Place;
use crate::kafka::read::{End, Reading, Start, read};
use crate::message::{Headers, Record, TopicPartition};
use crate::quarantine::{Deed, Edition, Quarantine, QuarantineError};

/// How long the last look may take; a transaction is open meanwhile.
const LOOK: Duration = Duration::from_secs(15);

/// Where the content of an edit stands.
pub fn place(operations: &str, edition: &Edition) -> Option<Place> {
    Some((TopicPartition::new(operations, 0), edition.offset?))
}

/// Value and headers of an edit, of the record that stands at its place. `None` when something else stands there.
pub fn content(record: &Record, edition: &Edition) -> Option<(Option<Bytes>, Headers)> {
    let act = act(record).filter(|act| act.id == edition.act)?;
    match act.deed {
        Deed::Edited { edit } if edit.is == edition.is => edit.content(),
        _ => None,
    }
}

/// The offset of the topic of operations up to which the index has read it. To be asked before letters are looked up.
pub async fn known(index: &Arc<dyn Quarantine>, operations: &str) -> Result<i64, QuarantineError> {
    let positions = index.positions().await?;
    Ok(positions.get(&TopicPartition::new(operations, 0)).copied().unwrap_or_default())
}

/// Fails when one of these letters was edited, or an edit of it taken back, from this offset on.
pub async fn none_since(
    kafka: Kafka,
    operations: String,
    message_max: Size,
    from: i64,
    letters: BTreeSet<String>,
) -> Result<(), TransactError> {
    let start = Start::Offsets(BTreeMap::from([((operations.clone(), 0), from)]));
    let reading = Reading { topics: vec![operations], start, deadline: LOOK, uncommitted: true };
    let look = move |found: &mut Option<String>, record: Record| {
        let Some(act) = act(&record) else { return ControlFlow::Continue(()) };
        let touched = act.letters.into_iter().find(|letter| letters.contains(letter));
        match (act.deed, touched) {
            (Deed::Edited { .. } | Deed::Unedited { .. }, Some(letter)) => {
                *found = Some(letter);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    };
    let again = |cause: String| Err(TransactError::Again { cause });
    match read(&kafka, message_max, reading, None, look).await {
        Ok((Some(letter), _)) => again(format!("dead letter {letter} was edited in this moment")),
        Ok((None, report)) if report.end == End::Complete => Ok(()),
        Ok(_) => again("it could not be seen in time whether letters were edited".into()),
        Err(problem) => again(problem.to_string()),
    }
}
