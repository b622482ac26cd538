//! Dead letters for the tests of this folder and of the command line.

use jiff::Timestamp;

use crate::flow::{Code, Fault};
use crate::ledger::Event;
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Coordinates, Correlation, DeadLetter, Headers, JobId, Record};
use crate::quarantine::{Entry, Kept, Known, Owner, State};

pub fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

/// A record of a dead letter topic: it failed first at second 0, and died at this one.
pub fn record(job: &str, code: Code, second: i64) -> Record {
    let at = |topic: &str| Coordinates { topic: topic.into(), partition: 1, offset: 7, timestamp: Some(5) };
    let correlation = Correlation {
        job: JobId(job.into()),
        tenant: Some("acme".into()),
        resource: Some("a.pdf".into()),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    let scene = Scene {
        pipeline: "rag",
        stage: "parse",
        revision: "r1",
        origin: &at("documents"),
        correlation: &correlation,
        attempts: 3,
        first_failure: time(0),
        last_failure: time(second),
        redrives: 0,
    };
    let fault = Fault::new(code, "cannot read the page tree")
        .caused_by(&std::io::Error::other("xref table is cut off"));
    let mut original = Headers::new();
    original.push_text("x-secret", "s3cr3t");
    let headers = DeadLetter::new(scene, &fault).seal(&original, Detail::Full);
    let value = Some(br#"{"id":"a.pdf"}"#.to_vec());
    Record {
        at: at("rag.parse.dlq"),
        key: Some(b"a.pdf".to_vec().into()),
        value: value.map(Into::into),
        headers,
    }
}

/// The same as the index has it.
pub fn entry(job: &str, code: &str, second: i64) -> Entry {
    let code = code.parse().expect("a code");
    Entry::read(&record(job, code, second), &Owner::default())
}

/// An event in the life of job `j1` in `rag.parse`, of which nothing more is said.
pub fn event(kind: &str) -> Event {
    Event {
        at: time(0),
        pipeline: "rag".into(),
        stage: "parse".into(),
        job: "j1".into(),
        kind: kind.into(),
        attempt: 1,
        redrives: 0,
        tenant: None,
        resource: None,
        traceparent: String::new(),
        record: None,
        fault: None,
        went_to: None,
        due: None,
        remark: None,
    }
}

/// An open letter that nobody has looked at.
pub fn known(second: i64) -> Known {
    Known {
        entry: entry("j1", "parse.corrupt", second),
        state: State::Open,
        looked_at: false,
        remarks: Default::default(),
        kept: Kept::Kafka,
        archived: None,
        edit: None,
    }
}
