//! Several rankings into one, and one ranking into a choice with several documents. Pure.

use std::collections::HashMap;

/// Softens the difference between the first ranks: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion
/// outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009.
const K: f64 = 60.0;
/// Passages taken from each ranking.
pub const CANDIDATES: usize = 50;
/// How much each ranking counts. Words count more: documentation is asked about by its names, and a small
/// embedding model is a weak judge of them (numbers in `docs/benchmarks.md`).
pub const BY_WORDS: f64 = 1.0;
pub const BY_MEANING: f64 = 0.7;
/// Most passages of one document.
const PER_DOCUMENT: usize = 3;
/// Room is kept for this many different documents.
const DOCUMENTS: usize = 5;

/// A passage in a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    pub passage: i64,
    pub document: i64,
}

/// A ranking, best first, and how much it counts.
#[derive(Clone, Debug)]
pub struct Ranking {
    pub weight: f64,
    pub candidates: Vec<Candidate>,
}

/// Reciprocal rank fusion: each ranking gives `weight / (K + rank)`. Best first; equal scores stand in the
/// order of their passages, so that the same question has the same answer.
pub fn fuse(rankings: &[Ranking]) -> Vec<(Candidate, f64)> {
    let mut scores: HashMap<Candidate, f64> = HashMap::new();
    for ranking in rankings {
        for (n, candidate) in ranking.candidates.iter().enumerate() {
            *scores.entry(*candidate).or_default() += ranking.weight / (K + n as f64 + 1.0);
        }
    }
    let mut fused: Vec<_> = scores.into_iter().collect();
    fused.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.passage.cmp(&b.passage)));
    fused
}

/// The best `limit` of a ranking, at most [`PER_DOCUMENT`] of one document, and with at least [`DOCUMENTS`]
/// different documents where the ranking and the limit have room for them: an answer should be able to
/// weigh several sources. Keeps the order.
pub fn choose(ranked: Vec<(Candidate, f64)>, limit: usize) -> Vec<(Candidate, f64)> {
    let mut first_of = HashMap::new();
    for (n, (candidate, _)) in ranked.iter().enumerate() {
        first_of.entry(candidate.document).or_insert(n);
    }
    let mut to_come = first_of.len().min(DOCUMENTS);
    let mut taken: HashMap<i64, usize> = HashMap::new();
    let mut chosen = Vec::with_capacity(limit.min(ranked.len()));
    for (candidate, score) in ranked {
        let room = limit.saturating_sub(chosen.len());
        let of_document = taken.entry(candidate.document).or_default();
        let welcome =
            if *of_document == 0 { room > 0 } else { *of_document < PER_DOCUMENT && room > to_come };
        if welcome {
            to_come = if *of_document == 0 { to_come.saturating_sub(1) } else { to_come };
            *of_document += 1;
            chosen.push((candidate, score));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(weight: f64, passages: &[i64]) -> Ranking {
        let candidates = passages.iter().map(|n| Candidate { passage: *n, document: n / 10 }).collect();
        Ranking { weight, candidates }
    }

    fn passages(ranked: &[(Candidate, f64)]) -> Vec<i64> {
        ranked.iter().map(|(candidate, _)| candidate.passage).collect()
    }

    #[test]
    fn what_both_rankings_like_comes_first() {
        let fused = fuse(&[ranking(1.0, &[1, 2, 3]), ranking(1.0, &[4, 3, 2])]);
        assert_eq!(passages(&fused), [2, 3, 1, 4]);
        assert!((fused[0].1 - (1.0 / 62.0 + 1.0 / 63.0)).abs() < 1e-12);
    }

    #[test]
    fn weight_decides_between_equal_ranks_and_order_between_equal_scores() {
        assert_eq!(passages(&fuse(&[ranking(0.5, &[1]), ranking(1.0, &[2])])), [2, 1]);
        assert_eq!(passages(&fuse(&[ranking(1.0, &[9]), ranking(1.0, &[2])])), [2, 9]);
        assert!(fuse(&[]).is_empty());
    }

    #[test]
    fn one_document_does_not_take_all_places() {
        let ranked = fuse(&[ranking(1.0, &[11, 12, 13, 14, 15, 21, 31, 41, 51, 61])]);
        assert_eq!(passages(&choose(ranked.clone(), 8)), [11, 12, 13, 21, 31, 41, 51, 61]);
        assert_eq!(passages(&choose(ranked.clone(), 6)), [11, 12, 21, 31, 41, 51]);
        assert_eq!(passages(&choose(ranked.clone(), 5)), [11, 21, 31, 41, 51]);
        assert_eq!(passages(&choose(ranked.clone(), 2)), [11, 21]);
        assert!(choose(ranked, 0).is_empty());
    }

    #[test]
    fn few_documents_leave_no_place_empty_that_they_may_take() {
        let ranked = fuse(&[ranking(1.0, &[11, 12, 13, 14, 21])]);
        assert_eq!(passages(&choose(ranked, 8)), [11, 12, 13, 21]);
    }
}
