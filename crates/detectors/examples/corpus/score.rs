//! Scores the rules on Services alone.

use detectors::{PortView, Scheme, Target, explain, recognise};

use crate::{
    choose::{choose, endpoint},
    count::{Count, Counts, Report, sum, table},
    read::{Row, Truth},
    tell::{lists, tell},
};

/// Scores all rows by what their Services show.
pub(crate) fn score(rows: &[Row]) -> Report {
    let rows: Vec<&Row> = rows.iter().collect();
    let chosen = choose(&rows, |row| recognise(&row.view));
    let mut counts = Counts::new();
    let (mut mistakes, mut notes) = (String::new(), String::new());
    let (mut wrong, mut missed, mut undecidable, mut needs_pod, mut others) = (0, 0, 0, 0, 0);
    let tell = |out: &mut String, what: &str, row: &Row, target| tell(out, what, row, target, explain(&row.view));
    for (row, chosen) in rows.iter().zip(&chosen) {
        let target = endpoint(chosen.as_ref());
        match (&row.truth, row.product, target) {
            (Truth::Usable { port, scheme, path }, Some(product), Some((as_product, target))) => {
                let count = counts.entry(product).or_default();
                count.usable += 1;
                let comparison = compare(row, (*port, *scheme, path), target, count);
                if as_product == product && target.port == *port {
                    count.right += 1;
                    if let Some(detail) = comparison {
                        let is_note = detail.starts_with("note");
                        wrong += u32::from(!is_note);
                        let out = if is_note { &mut notes } else { &mut mistakes };
                        tell(out, &detail, row, Some((as_product, target)));
                    }
                } else {
                    wrong += 1;
                    counts.entry(as_product).or_default().wrong += 1;
                    tell(&mut mistakes, "wrong product or port", row, Some((as_product, target)));
                }
            }
            (Truth::Usable { .. }, Some(_), None) if row.undecidable || row.needs_pod => {
                undecidable += 1;
                tell(&mut notes, "undecidable, not chosen", row, None);
            }
            (Truth::Usable { .. }, Some(product), None) => {
                counts.entry(product).or_default().usable += 1;
                missed += 1;
                tell(&mut mistakes, "missed", row, None);
            }
            (Truth::Usable { .. }, None, None) => others += 1,
            (Truth::Other, _, Some(target)) if row.needs_pod => {
                needs_pod += 1;
                tell(&mut notes, "only its Pod shows that it is no endpoint", row, Some(target));
            }
            (Truth::Other, _, Some((as_product, target)))
            | (Truth::Usable { .. }, None, Some((as_product, target))) => {
                counts.entry(as_product).or_default().wrong += 1;
                wrong += 1;
                tell(&mut mistakes, "false positive", row, Some((as_product, target)));
            }
            (Truth::Alternate, product, Some((as_product, target))) if product != Some(as_product) => {
                wrong += 1;
                tell(&mut mistakes, "an alternate of another product", row, Some((as_product, target)));
            }
            (Truth::Alternate, ..) | (Truth::Other, _, None) => {}
        }
    }
    let pairs = format!(
        "services={} usable={} right={} false_positives={} missed={missed} undecidable={undecidable} \
         needs_pod={needs_pod} other_products={others} port={} scheme={}/{} path={}/{} mistakes={}",
        rows.len(),
        sum(&counts, |c| c.usable),
        sum(&counts, |c| c.right),
        sum(&counts, |c| c.wrong),
        sum(&counts, |c| c.port),
        sum(&counts, |c| c.scheme),
        sum(&counts, |c| c.scheme_of),
        sum(&counts, |c| c.path),
        sum(&counts, |c| c.path_of),
        wrong + missed,
    );
    Report { text: table(&counts) + &lists(&mistakes, &notes), pairs, mistakes: wrong + missed }
}

/// Counts what is right; `Some` says what is not.
fn compare(row: &Row, truth: (u16, Scheme, &str), target: &Target, count: &mut Count) -> Option<String> {
    let (port, scheme, path) = truth;
    count.port += u32::from(target.port == port);
    let mut detail = None;
    let shown = shows_scheme(row, port);
    if shown {
        count.scheme_of += 1;
        count.scheme += u32::from(target.scheme == scheme);
    }
    if target.scheme != scheme {
        let kind =
            if shown || target.scheme == Scheme::Https { "wrong scheme" } else { "note: the scheme is not shown" };
        detail = Some(format!("{kind}, truth {scheme}"));
    }
    if !path.is_empty() || !target.path.is_empty() {
        count.path_of += 1;
        count.path += u32::from(target.path == path);
        if target.path != path {
            let kind = if target.path.is_empty() { "note: the path is not shown" } else { "wrong path" };
            detail = Some(format!("{kind}, truth {path:?}"));
        }
    }
    detail
}

/// Whether the Service shows that it uses TLS.
fn shows_scheme(row: &Row, number: u16) -> bool {
    let shown = |port: &PortView| {
        port.app_protocol.as_deref().is_some_and(|protocol| protocol.starts_with("http"))
            || port.name.as_deref().is_some_and(|name| name.starts_with("https"))
    };
    row.view.ports.iter().any(|port| port.port == number && shown(port))
        || row.view.annotations.iter().any(|(key, _)| key.ends_with("serving-cert-secret-name"))
}
