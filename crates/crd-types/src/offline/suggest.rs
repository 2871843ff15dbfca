//! Finds the name that a user probably meant.

/// The candidate that `text` is most likely a misspelling of. Letter case is ignored. A candidate may differ by two
/// edits, or by one edit if `text` has at most four letters. If several candidates are equally close, the first one is
/// returned.
pub fn closest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let limit = if text.chars().count() <= 4 { 1 } else { 2 };
    candidates
        .into_iter()
        .map(|candidate| (distance(&text, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of edits that change `a` into `b`. An edit inserts, removes or replaces a letter, or swaps two
/// neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, right) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(left != right);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_misspelling_is_corrected_and_another_word_is_not() {
        let products = ["Prometheus", "Loki", "Tempo"];
        assert_eq!(closest("prometheus", products), Some("Prometheus"));
        assert_eq!(closest("Promethues", products), Some("Prometheus"));
        assert_eq!(closest("Prometeus", products), Some("Prometheus"));
        assert_eq!(closest("loki", products), Some("Loki"));
        assert_eq!(closest("Lkoi", products), Some("Loki"));
        assert_eq!(closest("Jaeger", products), None);
        assert_eq!(closest("", products), None);
    }
}
