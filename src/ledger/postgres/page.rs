//! One transaction of a writer: reads what its requests are about, in one go, lets [`super::rows`] decide, and writes what
//! came of it, in one go. Two round trips, however many requests.
//!
//! Locks are taken in one order everywhere: terms, then jobs, each by name. So nobody waits in a circle, and where
//! a new row crosses another process's the page is begun anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use futures::future::try_join5;
use tokio_postgres::Row as Read_;

use super::desk::{Ask, Reply, Request};
use super::recover::state;
use super::rows::{Begun, Book, Change, Fenced, Kept, Row};
use super::{Shared, save};
use crate::ledger::{Begin, Claim};
use crate::postgres::{Error, Line};

const TOKENS: &str = "SELECT nextval('tokens') FROM generate_series(1, $1::bigint)";
const EPOCH: &str = "SELECT epoch FROM instances WHERE name = $1";
/// Held until the commit, so that no new term begins meanwhile and misses what is claimed here.
const TERMS: &str = "SELECT n.ord, t.term
    FROM unnest($1::text[], $2::text[], $3::text[], $4::int[])
           WITH ORDINALITY AS n (pipeline, stage, topic, partition, ord)
      JOIN terms t ON t.pipeline = n.pipeline AND t.stage = n.stage AND t.topic = n.topic AND t.partition = n.partition
    ORDER BY t.pipeline, t.stage, t.topic, t.partition FOR SHARE OF t";
const JOBS: &str = "SELECT n.ord, j.id, j.state, j.attempt, j.redrives, j.finishes, j.token, j.holder, j.epoch,
      j.lease_until, j.family, j.origin_topic, j.origin_partition, j.origin_offset, j.fault, j.result, j.updated_at
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS n (job, stage, pipeline, ord)
      JOIN jobs j ON j.job = n.job AND j.stage = n.stage AND j.pipeline = n.pipeline
    ORDER BY j.job, j.stage, j.pipeline FOR UPDATE OF j";
const RESULTS: &str = "SELECT row, result FROM results WHERE row = ANY($1)";

/// A family within a pipeline's stage.
type Family<'a> = (&'a str, &'a str, &'a str, i32);

fn family(claim: &Claim) -> Family<'_> {
    (&claim.pipeline, &claim.stage, &claim.family.topic, claim.family.partition)
}

/// Runs the requests and commits. The replies are in their order.
pub async fn turn(line: &Line, shared: &Shared, requests: &[Request]) -> Result<Vec<Reply>, Error> {
    let Found { mut book, terms, replaced } = read(line, shared, requests).await?;
    let mut answers = Vec::with_capacity(requests.len());
    {
        let unanswered = shared.unanswered();
        for request in requests {
            // An instance that another process has now takes no more jobs, and may finish those that it has.
            answers.push(match replaced && matches!(request.ask, Ask::Begin(_)) {
                true => Answer::Is(Reply::Replaced),
                false => decide(&mut book, shared, request, &terms, |token| unanswered.contains(&token)),
            });
        }
    }
    let mut results = results(line, &answers).await?;
    Box::pin(save::save(line, &book)).await?;
    let reply = |answer| match answer {
        Answer::Is(reply) => reply,
        Answer::Replay(lease, row) => {
            let result = results.remove(&row).unwrap_or_default();
            Reply::Begun(Box::new(Begin::Stored(lease, result)))
        }
    };
    Ok(answers.into_iter().map(reply).collect())
}

/// What the requests are about.
struct Found<'a> {
    book: Book<'a>,
    terms: BTreeMap<Family<'a>, i64>,
    /// The instance is another process's now.
    replaced: bool,
}

/// Begins the transaction and reads rows, terms, epoch and tokens in one round trip.
async fn read<'a>(line: &Line, shared: &Shared, requests: &'a [Request]) -> Result<Found<'a>, Error> {
    let claim =
        |request: &'a Request| if let Ask::Begin(claim) = &request.ask { Some(&**claim) } else { None };
    let bare = || requests.iter().filter(move |r| claim(r).is_some() && r.token.load(Ordering::Relaxed) == 0);
    let needed = i64::try_from(bare().count()).unwrap_or(i64::MAX);
    let keys: BTreeSet<_> = requests.iter().map(Request::key).collect();
    let (jobs, stages, pipelines) = columns(&keys);
    let families: BTreeSet<Family<'_>> = requests.iter().filter_map(claim).map(family).collect();
    let of: Vec<&str> = families.iter().map(|family| family.0).collect();
    let at: Vec<&str> = families.iter().map(|family| family.1).collect();
    let topics: Vec<&str> = families.iter().map(|family| family.2).collect();
    let partitions: Vec<i32> = families.iter().map(|family| family.3).collect();

    let tokens = line.prepared(TOKENS).await?;
    let epoch = line.prepared(EPOCH).await?;
    let terms = line.prepared(TERMS).await?;
    let rows = line.prepared(JOBS).await?;
    let (client, instance, asks) = (line.client(), &shared.who.instance, !families.is_empty());
    // They are sent in this order.
    let begin = client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED");
    let tokens = async { if needed > 0 { client.query(&tokens, &[&needed]).await } else { Ok(Vec::new()) } };
    let epoch = async { if asks { client.query(&epoch, &[instance]).await } else { Ok(Vec::new()) } };
    let terms = async {
        if asks { client.query(&terms, &[&of, &at, &topics, &partitions]).await } else { Ok(Vec::new()) }
    };
    let rows = async { client.query(&rows, &[&jobs, &stages, &pipelines]).await };
    let (_, tokens, epoch, terms, rows) = line.within(try_join5(begin, tokens, epoch, terms, rows)).await?;

    for (request, token) in bare().collect::<Vec<_>>().into_iter().zip(&tokens) {
        request.token.store(token.get(0), Ordering::Relaxed);
    }
    let families: Vec<Family<'_>> = families.into_iter().collect();
    let terms = terms.iter().filter_map(|row| Some((*families.get(place(row)?)?, row.get::<_, i64>(1))));
    let keys: Vec<_> = keys.into_iter().collect();
    let mut book = Book::default();
    for row in &rows {
        let Some(key) = place(row).and_then(|at| keys.get(at)) else { continue };
        book.rows.insert(*key, job(row, shared)?);
    }
    let current = epoch.first().map(|row| row.get::<_, i64>(0)) == Some(shared.who.epoch);
    Ok(Found { book, terms: terms.collect(), replaced: asks && !current })
}

/// `WITH ORDINALITY` counts from one.
fn place(row: &Read_) -> Option<usize> {
    usize::try_from(row.get::<_, i64>(0)).ok()?.checked_sub(1)
}

type Columns<'a> = (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>);

fn columns<'a>(keys: &BTreeSet<(&'a str, &'a str, &'a str)>) -> Columns<'a> {
    let mut columns = Columns::default();
    for (a, b, c) in keys {
        columns.0.push(a);
        columns.1.push(b);
        columns.2.push(c);
    }
    columns
}

fn job<'a>(row: &Read_, shared: &Shared) -> Result<Row<'a>, Error> {
    let number = |column: usize| u32::try_from(row.get::<_, i64>(column)).unwrap_or(u32::MAX);
    Ok(Row {
        id: row.get(1),
        state: state(shared.lines.place(), row.get(2))?,
        attempt: number(3),
        redrives: number(4),
        finishes: row.get(5),
        token: row.get(6),
        holder: row.get(7),
        epoch: row.get(8),
        lease_until: row.get(9),
        family: row.get(10),
        origin: (row.get(11), row.get(12), row.get(13)),
        fault: row.get(14),
        result: row.get(15),
        updated_at: row.get(16),
        change: Change::None,
        kept: Kept::AsItWas,
    })
}

/// A reply, but for a result that has to be read.
enum Answer {
    Is(Reply),
    Replay(crate::ledger::Lease, i64),
}

fn decide<'a>(
    book: &mut Book<'a>,
    shared: &Shared,
    request: &'a Request,
    terms: &BTreeMap<Family<'a>, i64>,
    nobodys: impl Fn(i64) -> bool,
) -> Answer {
    let now = request.now;
    let noted = match &request.ask {
        Ask::Begin(claim) => {
            if terms.get(&family(claim)).is_some_and(|term| *term != claim.term) {
                return Answer::Is(Reply::Begun(Box::new(Begin::Ousted)));
            }
            let token = request.token.load(Ordering::Relaxed);
            return match book.begin(&shared.who, claim, token, now, nobodys) {
                Begun::Is(begin) => Answer::Is(Reply::Begun(Box::new(begin))),
                Begun::Replay(lease, row) => Answer::Replay(lease, row),
            };
        }
        Ask::Store(lease, result) => book.store(lease, result, now),
        Ask::Withhold(lease) => book.withhold(lease, now),
        Ask::Condemn(lease, fault) => book.condemn(lease, fault, now),
        Ask::Settle(lease, ending) => book.settle(lease, ending, now),
    };
    Answer::Is(match noted {
        Ok(()) => Reply::Noted,
        Err(Fenced) => Reply::Fenced,
    })
}

async fn results(line: &Line, answers: &[Answer]) -> Result<BTreeMap<i64, Vec<u8>>, Error> {
    let wanted = |answer: &Answer| if let Answer::Replay(_, row) = answer { Some(*row) } else { None };
    let wanted: Vec<i64> = answers.iter().filter_map(wanted).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let statement = line.prepared(RESULTS).await?;
    let rows = line.within(line.client().query(&statement, &[&wanted])).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
