//! Scores the rules on Services with their Pods.

use detectors::{
    Explanation, Finding, Scheme, Target,
    pods::{explain_with_pods, read, recognise_with_pods},
};

use crate::{
    choose::{choose, endpoint},
    count::{Counts, Report, sum, table},
    read::{Pod, Row, Truth},
    tell::{lists, tell},
};

/// What the rules find in a row with its Pod.
pub(crate) fn recognise(row: &Row, pod: &Pod) -> Vec<Finding> {
    recognise_with_pods(&row.view, &read(&row.view, &pod.view))
}

fn explain(row: &Row, pod: &Pod) -> Vec<Explanation> {
    explain_with_pods(&row.view, &read(&row.view, &pod.view))
}

/// The rows that have a Pod.
pub(crate) fn rows_with_pods(rows: &[Row]) -> Vec<&Row> {
    rows.iter().filter(|row| row.pod.is_some()).collect()
}

/// What is chosen of these rows with their Pods.
pub(crate) fn chosen_with_pods(rows: &[&Row]) -> Vec<Option<Finding>> {
    choose(rows, |row| row.pod.as_ref().map(|pod| recognise(row, pod)).unwrap_or_default())
}

/// Scores the rows that have a Pod.
pub(crate) fn score(rows: &[Row]) -> Report {
    let rows = rows_with_pods(rows);
    if rows.is_empty() {
        return Report::default();
    }
    let chosen = chosen_with_pods(&rows);
    let mut counts = Counts::new();
    let (mut mistakes, mut notes) = (String::new(), String::new());
    let (mut wrong, mut missed, mut undecidable, mut assumed, mut cautious) = (0, 0, 0, 0, 0);
    let (mut auth, mut auth_of) = (0, 0);
    for (row, chosen) in rows.iter().zip(&chosen) {
        let Some(pod) = &row.pod else { continue };
        let target = endpoint(chosen.as_ref());
        let mut mistake = |what: &str| tell(&mut mistakes, what, row, target, explain(row, pod));
        match (&pod.truth, pod.product, chosen, target) {
            (Truth::Usable { port, scheme, path }, Some(product), Some(finding), Some((as_product, target))) => {
                let count = counts.entry(product).or_default();
                count.usable += 1;
                if as_product != product || target.port != *port {
                    wrong += 1;
                    counts.entry(as_product).or_default().wrong += 1;
                    mistake("wrong product or port");
                    continue;
                }
                count.right += 1;
                count.port += 1;
                let (scheme_right, path_right) = (target.scheme == *scheme, target.path == *path);
                count.scheme_of += u32::from(pod.settled.scheme);
                count.scheme += u32::from(pod.settled.scheme && scheme_right);
                count.path_of += u32::from(pod.settled.path);
                count.path += u32::from(pod.settled.path && path_right);
                for what in fields(pod, finding, (*scheme, path), target) {
                    wrong += 1;
                    mistake(&what);
                }
                assumed += u32::from(!pod.settled.scheme) + u32::from(!pod.settled.path);
                cautious += u32::from(pod.settled.scheme && finding.assumed.scheme)
                    + u32::from(pod.settled.path && finding.assumed.path);
                if pod.settled.auth {
                    auth_of += 1;
                    auth += u32::from(finding.auth == pod.auth);
                    if finding.auth != pod.auth {
                        let what = format!("note: the authentication is {:?}, truth {:?}", finding.auth, pod.auth);
                        tell(&mut notes, &what, row, Some((as_product, target)), explain(row, pod));
                    }
                }
            }
            (Truth::Usable { .. }, Some(_), None, _) if row.undecidable && !pod.settled.product => {
                undecidable += 1;
                tell(&mut notes, "undecidable, not chosen", row, None, explain(row, pod));
            }
            (Truth::Usable { .. }, Some(product), ..) => {
                counts.entry(product).or_default().usable += 1;
                missed += 1;
                mistake("missed");
            }
            (Truth::Other, _, _, Some((as_product, _))) | (Truth::Usable { .. }, None, _, Some((as_product, _))) => {
                counts.entry(as_product).or_default().wrong += 1;
                wrong += 1;
                mistake("false positive");
            }
            (Truth::Alternate, product, _, Some((as_product, _)))
                if product.is_some() && product != Some(as_product) =>
            {
                wrong += 1;
                mistake("an alternate of another product");
            }
            (Truth::Alternate, ..) | (Truth::Other | Truth::Usable { .. }, _, _, None) => {}
        }
    }
    let pairs = format!(
        "pods={} pods_usable={} pods_right={} pods_false_positives={} pods_missed={missed} \
         pods_undecidable={undecidable} pods_scheme={}/{} pods_path={}/{} pods_auth={auth}/{auth_of} \
         pods_open_fields={assumed} pods_cautious_fields={cautious} pods_mistakes={}",
        rows.len(),
        sum(&counts, |c| c.usable),
        sum(&counts, |c| c.right),
        sum(&counts, |c| c.wrong),
        sum(&counts, |c| c.scheme),
        sum(&counts, |c| c.scheme_of),
        sum(&counts, |c| c.path),
        sum(&counts, |c| c.path_of),
        wrong + missed,
    );
    Report { text: table(&counts) + &lists(&mistakes, &notes), pairs, mistakes: wrong + missed }
}

/// What is wrong with scheme and path.
fn fields(pod: &Pod, finding: &Finding, truth: (Scheme, &str), target: &Target) -> Vec<String> {
    let (scheme, path) = truth;
    let mut wrong = Vec::new();
    if pod.settled.scheme && target.scheme != scheme {
        wrong.push(format!("wrong scheme, truth {scheme}"));
    }
    if pod.settled.path && target.path != path {
        wrong.push(format!("wrong path, truth {path:?}"));
    }
    if !pod.settled.scheme && !finding.assumed.scheme {
        wrong.push("the scheme is open, but the rules do not say that they assume it".to_owned());
    }
    if !pod.settled.path && !finding.assumed.path {
        wrong.push("the path is open, but the rules do not say that they assume it".to_owned());
    }
    wrong
}
