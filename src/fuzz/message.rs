//! Headers of records, which anybody can write who may write to a topic.

use super::bytes::Bytes;
use crate::flow::fault::{CHAIN_MAX, MESSAGE_MAX};
use crate::message::deadletter::{DeadLetter, Detail};
use crate::message::{Record, foreign, id, trail};
use crate::quarantine::{Entry, Owner, Writer};

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

/// A record of any dead letter topic. It becomes an entry whoever wrote it, and every text of that is bounded.
pub fn foreign_letter(input: &[u8]) {
    let record = Bytes(input).record();
    let entry = Entry::read(&record, &Owner::default());
    let lines = || entry.chain.iter().chain([&entry.message, &entry.code]);
    assert!(lines().all(|line| line.len() <= MESSAGE_MAX && !line.contains(char::is_control)));
    assert!(entry.chain.len() <= CHAIN_MAX && trail::is_job_id(&entry.job));
    let ids = [&entry.tenant, &entry.resource, &entry.producer, &entry.feature, &entry.model];
    assert!(ids.into_iter().flatten().all(|id| trail::is_id(id)));
    let is_known = foreign::place(&record.headers).is_some();
    assert!(is_known || matches!(entry.writer, Writer::Lazaret | Writer::Unknown));
    assert_eq!(Entry::read(&record, &Owner::default()), entry);
}
