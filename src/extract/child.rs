//! The child process: takes a document from standard input, limits itself, parses, answers on standard output.
//!
//! It never opens a file, never talks to the network, and its environment is what its allocator is told.

use std::io::{self, Read};
use std::process::ExitCode;

use rlimit::Resource;

use super::wire::{Answer, Header, write_answer};
use super::{Extraction, parse};
use crate::flow::fault::panic_text;
use crate::flow::{Code, Fault};

/// Parsers recurse; a thread of our own has a known stack.
const STACK: usize = 32 << 20;

/// The whole life of `lazaret __extract`. Exit code 1 without an answer means that the request or the limits
/// were unusable.
pub fn child_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    // A parser's panic is an answer, not a message for an operator.
    std::panic::set_hook(Box::new(|_| {}));
    let mut input = io::stdin().lock();
    let header = Header::read(&mut input)?;
    limit(&header)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    write_answer(io::stdout().lock(), &answer(header, bytes)?)
}

/// Memory by address space, processor time as a second line behind the parent's clock, no core dumps, no files
/// beyond the three that are open.
fn limit(header: &Header) -> io::Result<()> {
    let seconds = header.time_max.as_secs() + 1;
    Resource::AS.set(header.memory_max, header.memory_max)?;
    Resource::CPU.set(seconds, seconds)?;
    Resource::CORE.set(0, 0)?;
    Resource::NOFILE.set(8, 8)
}

fn answer(header: Header, bytes: Vec<u8>) -> io::Result<Answer> {
    let limits = header.limits();
    let document = Extraction { bytes, media_type: header.media_type, file_name: header.file_name };
    let parser = std::thread::Builder::new().stack_size(STACK);
    let parser = parser.spawn(move || parse::parse(document, &limits))?;
    Ok(parser.join().unwrap_or_else(|panic| Err(panicked(panic.as_ref()))))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Fault {
    Fault::new(Code::ParseCrashed, format!("the parser panicked: {}", panic_text(panic)))
}

#[cfg(test)]
mod tests;
