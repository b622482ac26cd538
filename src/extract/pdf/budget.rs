//! What the compressed streams of a PDF unpack to, counted before the parser sees them.
//!
//! It looks at the raw bytes, so that a bomb hidden in an object or cross-reference stream counts too.
//! It never keeps what it unpacks.

use std::io::Read;

use flate2::bufread::ZlibDecoder;
use memchr::memmem;

use crate::flow::{Code, Fault};

/// How far before `stream` the stream's dictionary is looked at.
const DICTIONARY_REACH: usize = 2048;

/// `parse.expansion` when all Flate streams but those of images, which are never unpacked, exceed `max` bytes.
pub fn check(bytes: &[u8], max: u64) -> Result<(), Fault> {
    let mut left = max;
    for at in memmem::find_iter(bytes, b"stream") {
        let before = bytes.get(at.saturating_sub(DICTIONARY_REACH)..at).unwrap_or_default();
        if before.ends_with(b"end") || is_image(before) {
            continue;
        }
        let data = bytes.get(at + b"stream".len()..).unwrap_or_default();
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        let data = data.strip_prefix(b"\n").unwrap_or(data);
        left = match inflated(data, layers(before), left) {
            Some(size) => left - size,
            None => {
                let message = format!("the streams of the PDF unpack to more than {max} bytes");
                return Err(Fault::new(Code::ParseExpansion, message));
            }
        };
    }
    Ok(())
}

/// Bytes that `layers` of deflate around `data` unpack to; `None` when more than `max`. Damage ends the count
/// and is for the parser to judge.
fn inflated(data: &[u8], layers: usize, max: u64) -> Option<u64> {
    if layers == 0 {
        return Some(0);
    }
    let mut reader: Box<dyn Read + '_> = Box::new(data);
    for _ in 0..layers {
        reader = Box::new(ZlibDecoder::new(std::io::BufReader::new(reader)));
    }
    let mut total: u64 = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => total += n as u64,
        }
        if total > max {
            return None;
        }
    }
    Some(total)
}

/// Filters may be stacked; a real document uses one or two.
fn layers(before: &[u8]) -> usize {
    let dictionary = memmem::rfind(before, b"obj").and_then(|at| before.get(at..)).unwrap_or(before);
    memmem::find_iter(dictionary, b"FlateDecode").count().min(8)
}

fn is_image(before: &[u8]) -> bool {
    let dictionary = memmem::rfind(before, b"obj").and_then(|at| before.get(at..)).unwrap_or(before);
    memmem::find(dictionary, b"/Image").is_some()
}
