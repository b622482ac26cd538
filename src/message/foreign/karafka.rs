//! Karafka. Numbers are text; nothing is said of the exception.

use super::cause::Said;
use super::value::Block;
use super::{Family, Foreign, Kind};

/// Its names could be anybody's, so all of them must be there.
pub static KIND: Kind = Kind {
    marks: &["source_topic", "source_partition", "source_offset", "source_attempts"],
    all: true,
    read: |headers| {
        let block = Block::last(headers);
        Foreign {
            attempts: block.decimal("source_attempts"),
            origin: block.origin("source_topic", "source_partition", "source_offset"),
            consumer: block.id("source_consumer_group").map(|group| format!("consumer group {group}")),
            ..Foreign::new(Family::Karafka, Said::default().told())
        }
    },
};
