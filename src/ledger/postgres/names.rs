//! The names of processes that share a database. A process has its name by an advisory lock of a session of its own, which
//! the server frees when the session ends: with the process, and also when the server restarts or the network breaks. So
//! a free lock alone does not say that the process is gone:
//!
//! - Who loses his session takes the lock again as soon as he can. While somebody else has it, he *objects*: he counts up
//!   in the row of the name.
//! - Who finds the lock free looks into that row. The last holder is gone when he has said goodbye, or when he ran on this
//!   machine and no such process is there any more. If he runs here, the name is taken. Otherwise the newcomer keeps
//!   the lock for a while and listens: at the first objection he gives it back and the name is taken.
//! - When nobody objects, the name is his, but the last holder may live all the same, cut off from the database and in
//!   the middle of a call. Then his leases count until they are over ([`Predecessor::Unknown`]).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Predecessor, SCHEMA, address};
use crate::config::Postgres;
use crate::ledger::LedgerError;
use crate::postgres::{Address, Error, Line, Place, migrate};

/// How often a session is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often a lost one is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How long a newcomer listens for objections: the holder has noticed by then, and tried to connect.
const LISTEN: Duration = Duration::from_secs(8);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

const LOCK: &str = "SELECT pg_try_advisory_lock($1)";
const UNLOCK: &str = "SELECT pg_advisory_unlock($1)";
const LAST: &str = "SELECT holder, machine, process, started, gone, objections FROM names WHERE name = $1";
const TAKE: &str = "INSERT INTO names (name, holder, machine, process, started, gone, objections)
    VALUES ($1, $2, $3, $4, $5, false, 0)
    ON CONFLICT (name) DO UPDATE SET holder = $2, machine = $3, process = $4, started = $5, gone = false, objections = 0";
const OBJECT: &str = "UPDATE names SET objections = objections + 1 WHERE name = $1 AND holder = $2";
const LEAVE: &str = "UPDATE names SET gone = true WHERE name = $1 AND holder = $2";

/// Holders within this process.
static HERE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A name, held by this process until it is dropped.
#[derive(Debug)]
pub struct Name {
    name: String,
    holder: String,
    predecessor: Predecessor,
    goodbye: Option<oneshot::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Name {
    /// The first of these names that no living process has. `None` when all are taken.
    pub async fn claim(settings: &Postgres, names: &[String]) -> Result<Option<Name>, LedgerError> {
        let (address, place) = address(settings)?;
        let claimed = claim(&address, &place, names).await;
        claimed.map_err(|error| place.failure(&error).into())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of who had it before.
    pub fn predecessor(&self) -> Predecessor {
        self.predecessor
    }

    /// Gives it up and says so, so that whoever takes it next need not wonder.
    pub async fn leave(mut self) {
        drop(self.goodbye.take());
        if let Some(keeper) = self.keeper.take() {
            let abort = keeper.abort_handle();
            if tokio::time::timeout(GOODBYE, keeper).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
        here(|holders| holders.remove(&self.holder));
    }
}

fn here<T>(look: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
    look(&mut HERE.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn claim(address: &Arc<Address>, place: &Place, names: &[String]) -> Result<Option<Name>, Error> {
    migrate(address, place, &SCHEMA).await?;
    let line = Line::open(address, "").await?;
    for name in names {
        let key = key(address.schema(), name);
        if !locked(&line, key).await? {
            continue;
        }
        let Some(predecessor) = predecessor(&line, name).await? else {
            line.within(line.client().query_one(UNLOCK, &[&key])).await?;
            continue;
        };
        let holder = uuid::Uuid::now_v7().simple().to_string();
        let Process { machine, id, started } = Process::this();
        line.within(line.client().execute(TAKE, &[&name, &holder, &machine, &id, &started])).await?;
        here(|holders| holders.insert(holder.clone()));
        let (goodbye, wait) = oneshot::channel();
        let keeper = Keeper { address: address.clone(), name: name.clone(), holder: holder.clone(), key };
        let keeper = tokio::spawn(keeper.keep(line, wait));
        let (goodbye, keeper) = (Some(goodbye), Some(keeper));
        return Ok(Some(Name { name: name.clone(), holder, predecessor, goodbye, keeper }));
    }
    Ok(None)
}

/// The number of a name's lock, within the database.
pub(super) fn key(schema: &str, name: &str) -> i64 {
    let hash = blake3::hash(format!("lazaret instance\n{schema}\n{name}").as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

async fn locked(line: &Line, key: i64) -> Result<bool, Error> {
    Ok(line.within(line.client().query_one(LOCK, &[&key])).await?.get(0))
}

/// What became of the last holder; `None` when he lives. The lock is ours.
async fn predecessor(line: &Line, name: &str) -> Result<Option<Predecessor>, Error> {
    let last = async || line.within(line.client().query_opt(LAST, &[&name])).await;
    let Some(row) = last().await? else { return Ok(Some(Predecessor::Gone)) };
    if row.get::<_, bool>(4) {
        return Ok(Some(Predecessor::Gone));
    }
    let (holder, machine): (String, String) = (row.get(0), row.get(1));
    let process = Process { machine, id: row.get(2), started: row.get(3) };
    if let Some(lives) = process.lives(&holder) {
        return Ok((!lives).then_some(Predecessor::Gone));
    }
    tracing::info!(
        name,
        "listening whether the last process of this name lives, since it has not said goodbye"
    );
    let (heard, begun) = (row.get::<_, i64>(5), tokio::time::Instant::now());
    while begun.elapsed() < LISTEN {
        tokio::time::sleep(RETRY_EVERY).await;
        match last().await? {
            Some(row) if row.get::<_, i64>(5) != heard => return Ok(None),
            _ => {}
        }
    }
    Ok(Some(Predecessor::Unknown))
}

/// Keeps the lock, and takes it again when its session was lost.
struct Keeper {
    address: Arc<Address>,
    name: String,
    holder: String,
    key: i64,
}

impl Keeper {
    async fn keep(self, line: Line, mut goodbye: oneshot::Receiver<()>) {
        let mut session = Some(line);
        loop {
            let wait = if session.is_some() { LOOK_EVERY } else { RETRY_EVERY };
            tokio::select! {
                _ = &mut goodbye => break,
                () = tokio::time::sleep(wait) => {}
            }
            session = match session {
                Some(line) => line.run("SELECT 1").await.is_ok().then_some(line),
                None => match self.again().await {
                    Ok(line) => line,
                    // Whoever asks the ledger is told.
                    Err(error) if error.is_lost() => None,
                    Err(error) => {
                        tracing::warn!(name = self.name, %error, "the instance's name cannot be kept");
                        None
                    }
                },
            };
        }
        if let Some(line) = session {
            let _ = line.within(line.client().execute(LEAVE, &[&self.name, &self.holder])).await;
        }
    }

    /// A new session with the lock; `None` while somebody else has it, who is told that we live.
    async fn again(&self) -> Result<Option<Line>, Error> {
        let line = Line::open(&self.address, "").await?;
        let is_locked = locked(&line, self.key).await?;
        let ours = line.within(line.client().execute(OBJECT, &[&self.name, &self.holder])).await? > 0;
        if !ours {
            tracing::warn!(name = self.name, "another process has this instance's name now");
        }
        Ok((is_locked && ours).then_some(line))
    }
}

/// A process of some machine.
struct Process {
    machine: String,
    id: i64,
    /// In ticks since the machine was started: ids are used again.
    started: i64,
}

impl Process {
    fn this() -> Self {
        let id = i64::from(std::process::id());
        Self { machine: machine(), id, started: started(id).unwrap_or(0) }
    }

    /// `None` when it cannot be seen from here.
    fn lives(&self, holder: &str) -> Option<bool> {
        let this = Self::this();
        if self.machine != this.machine || this.machine.is_empty() {
            return None;
        }
        if (self.id, self.started) == (this.id, this.started) {
            return Some(here(|holders| holders.contains(holder)));
        }
        Some(started(self.id) == Some(self.started))
    }
}

/// This boot of this machine, and the space of its processes: containers have each their own. Empty where there is no
/// such thing.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if boot.is_empty() || space.as_os_str().is_empty() {
        return String::new();
    }
    format!("{} {}", boot.trim(), space.display())
}

/// When a process was started; `None` when it has ended.
fn started(process: i64) -> Option<i64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name of the command, which may hold anything: the state is the first, the start the twentieth.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ended = fields.first().is_none_or(|state| ["Z", "X"].contains(state));
    if ended { None } else { fields.get(19)?.parse().ok() }
}
