//! NServiceBus. Everything is text; a queue that is read stands for the topic.

use jiff::Timestamp;

use super::cause::Said;
use super::value::{Block, origin};
use super::{EXCEPTION_MAX, Family, Foreign, Kind};
use crate::flow::fault::MESSAGE_MAX;

pub static KIND: Kind = Kind {
    marks: &["NServiceBus.ExceptionInfo.ExceptionType", "NServiceBus.FailedQ", "NServiceBus.TimeOfFailure"],
    all: false,
    read: |headers| {
        let block = Block::last(headers);
        let trace = block.trace("NServiceBus.ExceptionInfo.StackTrace");
        let said = Said {
            exception: block.line("NServiceBus.ExceptionInfo.ExceptionType", EXCEPTION_MAX),
            message: block.line("NServiceBus.ExceptionInfo.Message", MESSAGE_MAX),
            cause: block.line("NServiceBus.ExceptionInfo.InnerExceptionType", EXCEPTION_MAX),
            cause_message: None,
            trace: trace.as_deref(),
        };
        Foreign {
            origin: origin(block.id("NServiceBus.FailedQ"), None, None, None),
            consumer: block
                .id("NServiceBus.ProcessingEndpoint")
                .map(|endpoint| format!("endpoint {endpoint}")),
            failed_at: block.id("NServiceBus.TimeOfFailure").and_then(|text| wire_time(&text)),
            ..Foreign::new(Family::NServiceBus, said.told())
        }
    },
};

/// `2026-11-22 03:14:07:512345 Z`: a colon before the fraction, and UTC always.
fn wire_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.strip_suffix(" Z")?.split_once(' ')?;
    let (time, fraction) = rest.rsplit_once(':')?;
    format!("{date}T{time}.{fraction}Z").parse().ok()
}
