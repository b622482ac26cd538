//! What parent and child say to each other over pipes. Request: a header as JSON after its length (32 bits, big
//! endian), then the document's bytes up to the end of the pipe. Answer: a `Result<Text, Fault>` as JSON.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Extraction, Limits, Text};
use crate::flow::Fault;

/// Longest header; file names and media types are short.
const HEADER_MAX: u32 = 64 << 10;

pub type Answer = Result<Text, Fault>;

/// Everything the child needs before the document's bytes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub media_type: Option<String>,
    pub file_name: Option<String>,
    pub time_max: Duration,
    pub memory_max: u64,
    pub expansion_max: u64,
    pub text_max: usize,
}

impl Header {
    pub fn new(document: &Extraction, limits: &Limits) -> Self {
        Self {
            media_type: document.media_type.clone(),
            file_name: document.file_name.clone(),
            time_max: limits.time_max,
            memory_max: limits.memory_max,
            expansion_max: limits.expansion_max,
            text_max: limits.text_max,
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            time_max: self.time_max,
            memory_max: self.memory_max,
            expansion_max: self.expansion_max,
            text_max: self.text_max,
        }
    }

    /// The header with its length before it.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len()).ok().filter(|length| *length <= HEADER_MAX);
        let length = length.ok_or_else(|| io::Error::other("file name and media type are too long"))?;
        Ok([&length.to_be_bytes(), json.as_slice()].concat())
    }

    pub fn read(mut from: impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > HEADER_MAX {
            return Err(io::Error::other("the request's header is too long"));
        }
        let mut json = Vec::new();
        from.take(length.into()).read_to_end(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }
}

/// Most bytes of an answer: escaped text, one number for each page, and a fault's bounded words.
pub fn answer_max(limits: &Limits) -> u64 {
    2 * limits.text_max as u64 + (1 << 20)
}

pub fn write_answer(mut to: impl Write, answer: &Answer) -> io::Result<()> {
    to.write_all(&serde_json::to_vec(answer)?)?;
    to.flush()
}
