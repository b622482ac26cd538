//! Runs every target over its seeds and small changes of them. The same changes every time, so that what passes
//! here passes there; `LAZARET_FUZZ_SEED` and `LAZARET_FUZZ_ROUNDS` choose others, and more of them.

use std::path::Path;
use std::time::{Duration, Instant};

use super::mutate::{Dice, mutate};
use super::{TARGETS, Target};

/// As deep as the child process lets parsers go.
const STACK: usize = 32 << 20;

/// Changed inputs for each target; the time after which there are enough.
const ROUNDS: u64 = 1_000;
const TIME: Duration = Duration::from_secs(4);

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Runs the target on a deep stack; when it panics, the input is left in a file and named.
fn run(name: &str, target: Target, seed: u64, inputs: impl Iterator<Item = Vec<u8>> + Send) {
    std::thread::scope(|scope| {
        let work = move || {
            for input in inputs {
                if std::panic::catch_unwind(|| target(&input)).is_err() {
                    let file = std::env::temp_dir().join(format!("lazaret-fuzz-{name}"));
                    std::fs::write(&file, &input).unwrap();
                    panic!("{name} minds the input in {} (LAZARET_FUZZ_SEED={seed})", file.display());
                }
            }
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn nothing_from_outside_makes_a_target_panic_or_break_its_promise() {
    let seed = from_env("LAZARET_FUZZ_SEED").unwrap_or(1);
    println!("LAZARET_FUZZ_SEED={seed}");
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        run(name, *target, seed, seeds.iter().cloned());
        let (rounds, end) = match from_env("LAZARET_FUZZ_ROUNDS") {
            Some(rounds) => (rounds, None),
            None => (ROUNDS, Some(Instant::now() + TIME)),
        };
        let rounds = (0..rounds).take_while(|_| end.is_none_or(|end| Instant::now() < end));
        let changed = rounds.map(|round| {
            let mut dice = Dice::new(seed << 32 ^ round);
            let (input, other) = (dice.below(seeds.len()), dice.below(seeds.len()));
            mutate(&seeds[input], &seeds[other], &mut dice)
        });
        run(name, *target, seed, changed);
    }
}

#[test]
fn the_same_seed_makes_the_same_change_and_another_seed_another() {
    let change = |seed| mutate(b"a text that is changed", b"another", &mut Dice::new(seed));
    assert_eq!(change(7), change(7));
    let all: std::collections::BTreeSet<_> = (0..100).map(change).collect();
    assert!(all.len() > 80, "{}", all.len());
    (0..100).for_each(|seed| drop(mutate(b"", b"", &mut Dice::new(seed))));
}
