//! Headers of records, which anybody can write who may write to a topic.

use super::bytes::Bytes;
use crate::message::deadletter::{DeadLetter, Detail};
use crate::message::{Record, id, trail};

/// A record on an input topic and on a rung. What was opened is sealed, and opened as the same.
pub fn control_block(input: &[u8]) {
    let record = Bytes(input).record();
    for own_topic in [false, true] {
        let envelope = trail::open(&record, own_topic);
        let correlation = &envelope.correlation;
        assert!(trail::is_job_id(&correlation.job.0) && id::is_traceparent(&correlation.traceparent));
        let mut ids = correlation.tenant.iter().chain(&correlation.resource);
        assert!(ids.all(|id| trail::is_id(id)));
        // Times finer than a millisecond become those of headers the first time they are sealed.
        let seal = |e: &trail::Envelope| Record {
            headers: trail::seal(&e.original, &e.trail, &e.correlation),
            ..record.clone()
        };
        let opened = trail::open(&seal(&envelope), true);
        assert_eq!((&opened.original, &opened.correlation), (&envelope.original, correlation));
        assert_eq!(trail::open(&seal(&opened), true), opened);
    }
}

/// A record of a dead letter topic. What can be read is written, and read as the same.
pub fn dead_letter(input: &[u8]) {
    let record = Bytes(input).record();
    let seal = |(letter, original): &(DeadLetter, _)| Record {
        headers: letter.seal(original, Detail::Full),
        ..record.clone()
    };
    match DeadLetter::read(&record) {
        Ok(first) => {
            let Ok(read) = DeadLetter::read(&seal(&first)) else { panic!("a letter cannot be read back") };
            assert_eq!((&read.1, &read.0.id), (&first.1, &first.0.id));
            assert_eq!(DeadLetter::read(&seal(&read)), Ok(read));
        }
        Err(problem) => assert!(problem.to_string().contains(problem.missing)),
    }
}
