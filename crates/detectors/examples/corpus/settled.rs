//! What the Pods settled that the Services left open.

use std::{collections::BTreeMap, fmt::Write as _};

use detectors::{Finding, Product, recognise};

use crate::{
    choose::{choose, endpoint},
    read::{Row, Truth},
    with_pods::{chosen_with_pods, rows_with_pods},
};

#[derive(Default)]
struct Gain {
    found: u32,
    refused: u32,
    scheme: u32,
    path: u32,
    auth: u32,
}

/// A table of the fields that are known only with Pods, per product.
pub(crate) fn settled(rows: &[Row]) -> String {
    let rows = rows_with_pods(rows);
    let without = choose(&rows, |row| recognise(&row.view));
    let with = chosen_with_pods(&rows);
    let mut gains: BTreeMap<Product, Gain> = BTreeMap::new();
    for ((row, without), with) in rows.iter().zip(&without).zip(&with) {
        let Some(pod) = &row.pod else { continue };
        let is_usable = matches!(pod.truth, Truth::Usable { .. });
        match (without, with) {
            (Some(without), None) if !is_usable => gains.entry(without.product).or_default().refused += 1,
            (before, Some(after)) => {
                let gain = gains.entry(after.product).or_default();
                let is_right = |finding: &Finding| is_right(&pod.truth, pod.product, finding);
                gain.found += u32::from(is_right(after) && !before.as_ref().is_some_and(is_right));
                let was_assumed = before.as_ref().map(|finding| finding.assumed);
                let open = |of: fn(detectors::Assumed) -> bool| was_assumed.is_none_or(of) && !of(after.assumed);
                gain.scheme += u32::from(open(|assumed| assumed.scheme));
                gain.path += u32::from(open(|assumed| assumed.path));
                gain.auth += u32::from(open(|assumed| assumed.auth));
            }
            _ => {}
        }
    }
    let mut text =
        format!("{:<16}{:>7}{:>9}{:>8}{:>9}{:>7}\n", "product", "found", "refused", "scheme", "path", "auth");
    for (product, gain) in gains {
        let _ = writeln!(
            text,
            "{:<16}{:>7}{:>9}{:>8}{:>9}{:>7}",
            product.as_str(),
            gain.found,
            gain.refused,
            gain.scheme,
            gain.path,
            gain.auth
        );
    }
    text
}

fn is_right(truth: &Truth, product: Option<Product>, finding: &Finding) -> bool {
    let Truth::Usable { port, .. } = truth else { return false };
    endpoint(Some(finding)).is_some_and(|(as_product, target)| Some(as_product) == product && target.port == *port)
}
