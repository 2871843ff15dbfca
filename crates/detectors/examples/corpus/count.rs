//! The numbers per product.

use std::{collections::BTreeMap, fmt::Write as _};

use detectors::Product;

#[derive(Default)]
pub(crate) struct Count {
    pub usable: u32,
    pub right: u32,
    pub wrong: u32,
    pub port: u32,
    pub scheme: u32,
    pub scheme_of: u32,
    pub path: u32,
    pub path_of: u32,
}

/// The text of a score, its `key=value` pairs and its number of mistakes.
#[derive(Default)]
pub(crate) struct Report {
    pub text: String,
    pub pairs: String,
    pub mistakes: u32,
}

pub(crate) type Counts = BTreeMap<Product, Count>;

pub(crate) fn sum(counts: &Counts, of: fn(&Count) -> u32) -> u32 {
    counts.values().map(of).sum()
}

pub(crate) fn table(counts: &Counts) -> String {
    let mut text = format!(
        "{:<16}{:>7}{:>7}{:>7}{:>11}{:>9}{:>7}{:>9}{:>9}\n",
        "product", "usable", "right", "wrong", "precision", "recall", "port", "scheme", "path"
    );
    for (product, count) in counts {
        let percent = |part: u32, whole: u32| {
            if whole == 0 { "-".to_owned() } else { format!("{:.1}%", f64::from(part) * 100.0 / f64::from(whole)) }
        };
        let _ = writeln!(
            text,
            "{:<16}{:>7}{:>7}{:>7}{:>11}{:>9}{:>7}{:>9}{:>9}",
            product.as_str(),
            count.usable,
            count.right,
            count.wrong,
            percent(count.right, count.right + count.wrong),
            percent(count.right, count.usable),
            count.port,
            format!("{}/{}", count.scheme, count.scheme_of),
            format!("{}/{}", count.path, count.path_of),
        );
    }
    text
}
