//! What was written and not handed on yet: sheets write at once, and whoever takes the file may be slow.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sink;

/// See the module. All clones are one.
#[derive(Clone, Default)]
pub struct Draft(Arc<Mutex<Vec<u8>>>);

impl Draft {
    /// Hands on what there is, and waits until it is taken.
    pub async fn hand_on(&self, to: &mut dyn Sink) -> io::Result<()> {
        let piece = std::mem::take(&mut *self.bytes());
        if piece.is_empty() { Ok(()) } else { to.put(piece).await }
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        // Bytes are bytes, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
