//! The columns of tables, CSV and Parquet alike: what they are called, and where each has its values from.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;

use super::Row;
use crate::quarantine::Writer;

/// What a column holds. What is not there is `None`.
pub enum Column {
    Text(for<'a> fn(&'a Row) -> Option<Cow<'a, str>>),
    Number(fn(&Row) -> Option<i64>),
    Time(fn(&Row) -> Option<Timestamp>),
    Bytes(for<'a> fn(&'a Row) -> Option<&'a Bytes>),
}

/// Of every letter.
const LETTER: &[(&str, Column)] = &[
    ("id", Column::Text(|row| Some((&row.letter.entry.id).into()))),
    ("state", Column::Text(|row| Some(row.letter.state.as_str().into()))),
    ("writer", Column::Text(|row| writer(row.letter.entry.writer))),
    ("pipeline", Column::Text(|row| Some((&row.letter.entry.pipeline).into()))),
    ("stage", Column::Text(|row| Some((&row.letter.entry.stage).into()))),
    ("revision", Column::Text(|row| row.letter.entry.revision.as_ref().map(Into::into))),
    ("code", Column::Text(|row| Some((&row.letter.entry.code).into()))),
    ("class", Column::Text(|row| Some((&row.letter.entry.class).into()))),
    ("message", Column::Text(|row| Some((&row.letter.entry.message).into()))),
    // As JSON: a list of texts.
    (
        "chain",
        Column::Text(|row| Some(serde_json::to_string(&row.letter.entry.chain).unwrap_or_default().into())),
    ),
    ("fingerprint", Column::Text(|row| Some((&row.letter.entry.fingerprint).into()))),
    ("attempts", Column::Number(|row| Some(row.letter.entry.attempts.into()))),
    ("redrives", Column::Number(|row| Some(row.letter.entry.redrives.into()))),
    ("first_failure", Column::Time(|row| Some(row.letter.entry.first_failure))),
    ("last_failure", Column::Time(|row| Some(row.letter.entry.last_failure))),
    ("job", Column::Text(|row| Some((&row.letter.entry.job).into()))),
    ("tenant", Column::Text(|row| row.letter.entry.tenant.as_ref().map(Into::into))),
    ("resource", Column::Text(|row| row.letter.entry.resource.as_ref().map(Into::into))),
    ("trace", Column::Text(|row| row.letter.entry.trace.as_ref().map(Into::into))),
    ("producer", Column::Text(|row| row.letter.entry.producer.as_ref().map(Into::into))),
    ("feature", Column::Text(|row| row.letter.entry.feature.as_ref().map(Into::into))),
    ("model", Column::Text(|row| row.letter.entry.model.as_ref().map(Into::into))),
    ("size", Column::Number(|row| i64::try_from(row.letter.entry.size).ok())),
    ("note", Column::Text(|row| row.letter.remarks.note.as_ref().map(Into::into))),
    ("owner", Column::Text(|row| row.letter.remarks.owner.as_ref().map(Into::into))),
    ("ticket", Column::Text(|row| row.letter.remarks.ticket.as_ref().map(Into::into))),
    ("topic", Column::Text(|row| Some((&*row.letter.entry.at.topic).into()))),
    ("partition", Column::Number(|row| Some(row.letter.entry.at.partition.into()))),
    ("offset", Column::Number(|row| Some(row.letter.entry.at.offset))),
    (
        "origin_topic",
        Column::Text(|row| row.letter.entry.origin.as_ref().map(|origin| (&origin.topic).into())),
    ),
    ("origin_partition", Column::Number(|row| row.letter.entry.origin.as_ref()?.partition.map(Into::into))),
    ("origin_offset", Column::Number(|row| row.letter.entry.origin.as_ref()?.offset)),
];

/// Of its record.
const RECORD: &[(&str, Column)] = &[
    ("key", Column::Bytes(|row| row.record.as_ref()?.key.as_ref())),
    // As JSON: a list of names and values.
    (
        "headers",
        Column::Text(|row| {
            Some(serde_json::to_string(&row.record.as_ref()?.headers).unwrap_or_default().into())
        }),
    ),
    ("payload", Column::Bytes(|row| row.record.as_ref()?.payload.as_ref())),
];

pub fn columns(with_record: bool) -> Vec<&'static (&'static str, Column)> {
    LETTER.iter().chain(if with_record { RECORD } else { &[] }).collect()
}

/// As in JSON.
fn writer(writer: Writer) -> Option<Cow<'static, str>> {
    let name = serde_json::to_value(writer).ok()?;
    name.as_str().map(|name| name.to_owned().into())
}
