//! `/v1/dlq/export`: dead letters as a file, which is sent while it is made; and what is masked of one or of many, for those who
//! answer for it.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::ask::Ask;
use super::asked::{Asked, Sent, Told};
use super::letters::{STANDING, find, gone};
use super::{Api, Problem, Right, Route};
use crate::ops::quarantine::Acts;
use crate::ops::quarantine::change::{Change, operations_topic};
use crate::ops::quarantine::content::Contents;
use crate::ops::quarantine::export::{ExportError, Format, Row, Sink, export};
use crate::quarantine::{Deed, Filter};

/// Files that are made at the same time: each holds some megabytes.
pub const EXPORTS_MAX: usize = 4;
/// Whoever reads no further for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a file may be.
const KINDS: [&str; 3] = ["application/x-ndjson", "text/csv", "application/vnd.apache.parquet"];

/// With what is masked, and why.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Unmask {
    /// Why. It is written down, with the letters, before anything of them is read.
    reason: Option<String>,
    /// Of many: all that pass; open and redriving ones without `state`.
    filter: Ask,
    /// Of many: how the file is written; as lines of JSON when absent.
    format: Format,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/dlq/export",
            Right::Export,
            "Dead letters as a file, with their records (`dlq:payload`) if that is wanted",
            masked,
        )
        .query::<Ask>()
        .kinds(&KINDS),
        Route::post(
            "/v1/dlq/export/unmask",
            Right::Unmask,
            "The same with their records and all that is masked (`export`, `dlq:payload`); who saw it, and why, is written down",
            unmasked,
        )
        .body::<Unmask>()
        .kinds(&KINDS),
        Route::post(
            "/v1/dlq/{id}/unmask",
            Right::Unmask,
            "One with its record and all that is masked (`dlq:payload`); who saw it, and why, is written down",
            one,
        )
        .body::<Unmask>()
        .answer::<Row>(),
    ]
}

/// What is shown of records.
enum Records {
    None,
    Masked,
    Unmasked(Unmasking),
}

/// Who sees what is masked, and where that is written down.
struct Unmasking {
    topic: String,
    by: String,
    reason: Option<String>,
}

impl Unmasking {
    /// It can be written down, and somebody answers for it.
    async fn new(asked: &Asked, reason: Option<String>) -> Result<Self, Problem> {
        asked.who.need(Right::Payload)?;
        let change = Change { deed: Deed::Unmasked, by: asked.who.name.clone(), reason };
        change.check()?;
        let Change { by, reason, .. } = change;
        Ok(Self { topic: operations_topic(&asked.api.config).await?, by, reason })
    }

    fn acts<'a>(&'a self, api: &'a Api) -> Acts<'a> {
        Acts::new(&api.producer, &self.topic, &self.by, self.reason.as_deref())
    }
}

async fn masked(asked: Asked) -> Result<Response, Problem> {
    let mut ask: Ask = asked.query()?;
    let format = ask.format.take().unwrap_or_default();
    let records = match std::mem::take(&mut ask.payload) {
        false => Records::None,
        true => {
            asked.who.need(Right::Payload)?;
            Records::Masked
        }
    };
    file(asked, ask, format, records).await
}

async fn unmasked(asked: Asked, Sent(order): Sent<Unmask>) -> Result<Response, Problem> {
    asked.who.need(Right::Export)?;
    let unmasking = Unmasking::new(&asked, order.reason).await?;
    file(asked, order.filter, order.format, Records::Unmasked(unmasking)).await
}

async fn one(asked: Asked, Path(id): Path<String>, Sent(order): Sent<Unmask>) -> Told<Row> {
    let letter = find(&asked.api, &asked.who, &id).await?;
    let unmasking = Unmasking::new(&asked, order.reason).await?;
    let contents = Contents::new(&asked.api.config, "api");
    let found = contents.unmasked(unmasking.acts(&asked.api)).of(vec![letter]).await?.pop();
    let row = found.and_then(|(letter, record)| Some(Row { letter, record: Some(record?) }));
    row.map(Json).ok_or_else(gone)
}

/// Sends what comes first when it is there, so that what is wrong from the beginning is told as a problem. What goes wrong later
/// breaks the answer off.
async fn file(asked: Asked, ask: Ask, format: Format, records: Records) -> Result<Response, Problem> {
    ask.ensure_conditions()?;
    let filter = ask.filter(&asked.who.scope, &STANDING)?;
    let busy = || {
        let detail = format!("{EXPORTS_MAX} files are being made already");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).hint("ask again when one of them is done")
    };
    let permit = asked.api.exports.clone().try_acquire_owned().map_err(|_| busy())?;
    let (pieces, mut received) = mpsc::channel(1);
    tokio::spawn(make(asked.api, filter, format, records, Pieces(pieces), permit));
    let first = match received.recv().await {
        Some(Err(error)) => return Err(error.into()),
        Some(Ok(piece)) => Some(Ok(piece)),
        None => None,
    };
    let rest = stream::unfold(received, async |mut received| Some((received.recv().await?, received)));
    let body = Body::from_stream(stream::iter(first).chain(rest));
    let (kind, name) = match format {
        Format::Jsonl => (KINDS[0], "dead-letters.jsonl"),
        Format::Csv => (KINDS[1], "dead-letters.csv"),
        Format::Parquet => (KINDS[2], "dead-letters.parquet"),
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
        .into_response())
}

async fn make(
    api: Api,
    filter: Filter,
    format: Format,
    records: Records,
    mut to: Pieces,
    _permit: OwnedSemaphorePermit,
) {
    let contents = || Contents::new(&api.config, "api");
    let contents = match &records {
        Records::None => None,
        Records::Masked => Some(contents()),
        Records::Unmasked(unmasking) => Some(contents().unmasked(unmasking.acts(&api))),
    };
    match export(&*api.index, &filter, contents, (format, &mut to), |_| {}).await {
        Ok(exported) => tracing::info!(letters = exported.letters, "a file of dead letters was sent"),
        Err(error) => {
            tracing::warn!("a file of dead letters was broken off: {error}");
            let _ = tokio::time::timeout(PATIENCE, to.0.send(Err(error))).await;
        }
    }
}

/// Pieces of the file, on their way to whoever asked for it.
struct Pieces(mpsc::Sender<Result<Bytes, ExportError>>);

#[async_trait]
impl Sink for Pieces {
    async fn put(&mut self, piece: Vec<u8>) -> io::Result<()> {
        match tokio::time::timeout(PATIENCE, self.0.send(Ok(piece.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
