//! Feeds one target of `lazaret::fuzz` with the inputs of libFuzzer. One program serves all targets, because linking
//! it takes longer than building them; `LAZARET_FUZZ_TARGET` names the one that is meant.

#![no_main]

use std::sync::LazyLock;

use lazaret::fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("LAZARET_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    let found = TARGETS.iter().find(|(target, _)| *target == name).map(|(_, target)| *target);
    found.unwrap_or_else(|| panic!("LAZARET_FUZZ_TARGET is '{name}', not one of {}", names.join(", ")))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
