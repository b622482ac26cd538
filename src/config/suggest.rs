//! "Did you mean": the known word nearest to a misspelt one. Pure.

/// Longer words are not compared; nobody misspells that much.
const WORD_MAX: usize = 64;

/// The candidate nearest to `word`, if one is near enough to be meant: a third of its letters may differ.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.len() > WORD_MAX {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().take(WORD_MAX).collect();
            let distance = edit_distance(&word, &letters);
            (distance <= (letters.len() / 3).max(1)).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean 'x'? known are x, y, z`, or only the second half when nothing is near.
pub fn hint<'a>(word: &str, what: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let list = known.clone().into_iter().collect::<Vec<_>>().join(", ");
    match nearest(word, known) {
        Some(near) => format!("did you mean '{near}'? {what}: {list}"),
        None => format!("{what}: {list}"),
    }
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours cost one.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let substituted = last[j] + usize::from(x != y);
            let mut cost = substituted.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let known = ["partitions", "replication", "retention"];
        assert_eq!(nearest("partitons", known), Some("partitions"));
        assert_eq!(nearest("retnetion", known), Some("retention"));
        assert_eq!(nearest("Replication", known), Some("replication"));
    }

    #[test]
    fn another_word_is_not_a_misspelling() {
        assert_eq!(nearest("banana", ["partitions", "retention"]), None);
        assert_eq!(nearest(&"x".repeat(1000), ["partitions"]), None);
    }

    #[test]
    fn two_swapped_neighbours_cost_one() {
        let letters = |s: &str| s.chars().collect::<Vec<_>>();
        assert_eq!(edit_distance(&letters("parse"), &letters("prase")), 1);
        assert_eq!(edit_distance(&letters(""), &letters("abc")), 3);
    }
}
