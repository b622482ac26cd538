//! A measured side: a process of its own, which says in lines of JSON when it is ready and what it used. It ends when
//! it has done what it was to do, or when its standard input is closed, which it also is when this process dies.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ours::Ours;
use super::usage::{self, Usage};
use super::{bare, ours};

/// Longest time in which a side must become ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// Longest time for all its work.
const WORK_MAX: Duration = Duration::from_secs(900);

/// What goes wrong with the service is of interest. What goes wrong with a record is meant to, and where that is written,
/// and at what cost, is for the program to say that uses the library. So are the spans under which it would stand: writing
/// down the ids of each record, should something be said of it, costs 1 to 2 µs.
const LOGGED: &str = "warn,lazaret::worker::hands=off,lazaret::telemetry::log=off";

/// What a side is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub kafka: String,
    /// Of its group, and of its pipeline.
    pub name: String,
    pub input: String,
    pub output: String,
    /// After so many records that are done it ends; `None`: when it is told to.
    pub expect: Option<u64>,
    pub program: Program,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Program {
    /// Reads, writes, stores offsets of what was acknowledged.
    BareLoop,
    /// Reads and writes in a transaction every 100 ms.
    BareTransactions,
    Ours(Ours),
}

#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Ready,
    /// What it has done so far, when it is asked.
    SoFar(Report),
    Done(Report),
}

/// What a side says at its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub usage: Usage,
    /// When the last record was acknowledged, or its transaction committed: milliseconds since 1970.
    pub at: i64,
    pub done: u64,
    pub retried: u64,
    pub dead: u64,
    /// Calls of the stage, where they were to be noted.
    pub calls: Vec<ours::Call>,
}

impl Report {
    pub fn now(done: u64) -> anyhow::Result<Self> {
        let (usage, at) = (usage::of("self")?, Timestamp::now().as_millisecond());
        Ok(Self { usage, at, done, ..Self::default() })
    }

    pub fn cpu_per_record(&self) -> f64 {
        self.usage.cpu_us as f64 / self.done.max(1) as f64
    }
}

/// The child's part: does what it is told.
pub async fn serve(order: Order) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(LOGGED))
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let asked = asked();
    let report = match &order.program {
        Program::BareLoop | Program::BareTransactions => {
            let transactional = matches!(order.program, Program::BareTransactions);
            say(&Line::Ready)?;
            tokio::task::spawn_blocking(move || bare::run(&order, transactional)).await??
        }
        Program::Ours(settings) => {
            let handle = ours::start(&order, settings).await?;
            say(&Line::Ready)?;
            handle.work(order.expect, asked).await?
        }
    };
    say(&Line::Done(report))
}

/// Each line of the standard input is a question what is done so far; its end means to end. The thread that waits for
/// it holds nothing up when the process ends.
fn asked() -> mpsc::Receiver<()> {
    let (ask, asked) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.is_err() || ask.blocking_send(()).is_err() {
                break;
            }
        }
    });
    asked
}

/// Answers such a question.
pub fn tell(report: Report) -> anyhow::Result<()> {
    say(&Line::SoFar(report))
}

fn say(line: &Line) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}

/// The parent's part.
pub struct Side {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    process: String,
}

impl Side {
    /// Starts it, and waits until it is ready.
    pub async fn start(order: &Order) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--side").arg(serde_json::to_string(order)?);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start a side")?;
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let process = child.id().context("its id")?.to_string();
        let mut side = Self { input: child.stdin.take(), child, lines, process };
        match timeout(READY_MAX, side.line()).await.context("the side does not become ready")?? {
            Line::Ready => Ok(side),
            line => bail!("the side said {line:?}"),
        }
    }

    /// What it uses now.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        usage::of(&self.process)
    }

    /// What it has done so far. Only of ours.
    pub async fn so_far(&mut self) -> anyhow::Result<Report> {
        self.input.as_mut().context("its input")?.write_all(b"\n").await?;
        match timeout(READY_MAX, self.line()).await.context("the side does not answer")?? {
            Line::SoFar(report) => Ok(report),
            line => bail!("the side said {line:?}"),
        }
    }

    /// Waits until it has done its work.
    pub async fn end(mut self) -> anyhow::Result<Report> {
        let line = timeout(WORK_MAX, self.line()).await.context("the side does not end")??;
        let Line::Done(report) = line else { bail!("the side said {line:?}") };
        drop(self.input.take());
        timeout(READY_MAX, self.child.wait()).await.context("the side's process does not end")??;
        Ok(report)
    }

    /// Tells it to end.
    pub async fn stop(mut self) -> anyhow::Result<Report> {
        drop(self.input.take());
        self.end().await
    }

    async fn line(&mut self) -> anyhow::Result<Line> {
        let line = self.lines.next_line().await?.context("the side died; its words stand above")?;
        Ok(serde_json::from_str(&line)?)
    }
}
