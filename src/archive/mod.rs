//! Where dead letters are archived: objects in a folder or an S3-compatible store, and the container that holds records byte
//! for byte. Knows nothing of what an object means to the index.

mod container;
mod crypto;
mod store;

pub use container::{ContainerError, Letter, pack, unpack};
pub use store::{Store, StoreError};

/// The SHA-256 of these bytes, 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
