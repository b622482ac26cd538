//! The parent's side: one child process for each document, killed when its time is up.
//!
//! It never parses anything itself, and no child outlives the future that waits for it.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::wire::{Answer, Header, answer_max};
use super::{Extract, Extraction, Extractor, Limits, Text};
use crate::flow::{Code, Fault};

/// No more children at once than there are cores: a limit on wall-clock time is only fair to a child that has a
/// core to itself.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, |n| n.get())));

#[async_trait]
impl Extract for Extractor {
    /// Every fault is permanent but one: a child that cannot be started says `stage.timeout`, because the machine
    /// is out of processes or memory and the document is not to blame.
    async fn extract(&self, document: Extraction, limits: Limits) -> Result<Text, Fault> {
        let _place = PLACES.acquire().await;
        let mut child = self.start().map_err(|e| {
            let message = format!("the parser process {} cannot be started", self.program.display());
            Fault::new(Code::StageTimeout, message).caused_by(&e)
        })?;
        match timeout(limits.time_max, converse(&mut child, &document, &limits)).await {
            Ok(Ok((status, answer))) => read_answer(status, &answer, &limits),
            Ok(Err(error)) => {
                stop(&mut child).await;
                Err(Fault::new(Code::ParseCrashed, "the parser process broke off").caused_by(&error))
            }
            Err(_) => {
                stop(&mut child).await;
                let message = format!("the parser did not finish within {:?}", limits.time_max);
                Err(Fault::new(Code::ParseTimeout, message))
            }
        }
    }
}

impl Extractor {
    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg("__extract")
            .env_clear()
            // The program's allocator reserves a gigabyte of addresses beforehand, and these are what is limited.
            .env("MIMALLOC_DISALLOW_ARENA_ALLOC", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Sends the request and takes the answer at the same time, then waits for the end of the child.
async fn converse(
    child: &mut Child,
    document: &Extraction,
    limits: &Limits,
) -> io::Result<(ExitStatus, Vec<u8>)> {
    let header = Header::new(document, limits).to_bytes()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (_, answer) =
        tokio::join!(send(stdin, &header, &document.bytes), receive(stdout, answer_max(limits)));
    Ok((child.wait().await?, answer?))
}

/// A child that dies early breaks the pipe; its exit status says more than that error would.
async fn send(stdin: Option<ChildStdin>, header: &[u8], bytes: &[u8]) -> io::Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    stdin.write_all(header).await?;
    stdin.write_all(bytes).await?;
    stdin.shutdown().await
}

async fn receive(stdout: Option<ChildStdout>, max: u64) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(max + 1).read_to_end(&mut answer).await?;
    }
    if answer.len() as u64 > max {
        return Err(io::Error::other("its answer is longer than text can be"));
    }
    Ok(answer)
}

async fn stop(child: &mut Child) {
    // `kill` also waits, so that no zombie stays. It fails only for a child that is gone already.
    let _ = child.kill().await;
}

fn read_answer(status: ExitStatus, answer: &[u8], limits: &Limits) -> Result<Text, Fault> {
    if !status.success() {
        return Err(Fault::new(Code::ParseCrashed, ended(status, limits)));
    }
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|e| Fault::new(Code::ParseCrashed, "the parser's answer cannot be read").caused_by(&e))?;
    answer
}

/// Rust aborts when memory runs out, so an abort is most likely the memory limit.
fn ended(status: ExitStatus, limits: &Limits) -> String {
    use std::os::unix::process::ExitStatusExt;
    const SIGABRT: i32 = 6;
    match status.signal() {
        Some(SIGABRT) => {
            format!("the parser was aborted, most likely at its memory limit of {} bytes", limits.memory_max)
        }
        Some(signal) => format!("the parser was ended by signal {signal}"),
        None => format!("the parser ended with {status} and without an answer"),
    }
}
