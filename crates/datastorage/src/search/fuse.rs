//! Two lists become one.

use std::collections::HashMap;

use crate::store::{Hit, Near};

/// The constant of reciprocal rank fusion: how little the first places of one list count against a place in both.
const CONSTANT: f64 = 60.0;

/// A result of one list or of both.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fused {
    /// What the records are, if the result was found by words.
    pub(super) hit: Option<Hit>,
    /// The text. None only if it was found by words.
    pub(super) text_id: Option<i64>,
    pub(super) similarity: Option<f64>,
    pub(super) text_rank: Option<u32>,
    pub(super) vector_rank: Option<u32>,
    pub(super) score: f64,
}

/// Both lists in the order of the sum of 1/(60+rank). Of equal sums, the better place by words comes first.
pub(super) fn fuse(by_words: Vec<Hit>, by_vector: &[Near]) -> Vec<Fused> {
    let near: HashMap<i64, (u32, f64)> =
        (1..).zip(by_vector).map(|(rank, near)| (near.text_id, (rank, near.similarity))).collect();
    let mut found: Vec<Fused> = (1..)
        .zip(by_words)
        .map(|(rank, hit)| {
            let text_id = hit.text_id;
            fused(Some(hit), text_id, Some(rank), text_id.and_then(|text_id| near.get(&text_id).copied()))
        })
        .collect();
    let in_words: Vec<i64> = found.iter().filter_map(|fused| fused.text_id).collect();
    let only_near = (1..).zip(by_vector).filter(|(_, near)| !in_words.contains(&near.text_id));
    found.extend(only_near.map(|(rank, near)| fused(None, Some(near.text_id), None, Some((rank, near.similarity)))));
    // Stable: results by words stand before those by meaning, each in its own order.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

fn fused(hit: Option<Hit>, text_id: Option<i64>, text_rank: Option<u32>, near: Option<(u32, f64)>) -> Fused {
    let vector_rank = near.map(|(rank, _)| rank);
    let score = [text_rank, vector_rank].into_iter().flatten().map(|rank| 1.0 / (CONSTANT + f64::from(rank))).sum();
    Fused { hit, text_id, similarity: near.map(|(_, similarity)| similarity), text_rank, vector_rank, score }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn hit(text_id: Option<i64>) -> Hit {
        let at = Timestamp::UNIX_EPOCH;
        Hit { text_id, newest: Uuid::nil(), matches: 1, first_at: at, last_at: at }
    }

    fn near(text_id: i64) -> Near {
        Near { text_id, similarity: 0.5 }
    }

    fn places(fused: &[Fused]) -> Vec<(Option<i64>, Option<u32>, Option<u32>)> {
        fused.iter().map(|f| (f.text_id, f.text_rank, f.vector_rank)).collect()
    }

    #[test]
    fn a_text_in_both_lists_stands_before_the_first_of_each() {
        let fused = fuse(vec![hit(Some(1)), hit(Some(2))], &[near(3), near(2)]);
        let expected = [(Some(2), Some(2), Some(2)), (Some(1), Some(1), None), (Some(3), None, Some(1))];
        assert_eq!(places(&fused), expected);
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-12);
    }

    #[test]
    fn records_without_a_text_stay_apart() {
        let fused = fuse(vec![hit(None), hit(None)], &[]);
        assert_eq!(places(&fused), [(None, Some(1), None), (None, Some(2), None)]);
    }
}
