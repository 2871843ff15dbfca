//! Scores the built-in rules on a corpus of Services whose product and endpoint are known.
//!
//! `cargo run -p detectors --example corpus -- [FILE…]`; the default is `../shared/corpus/*.json` beside the workspace.
//!
//! The output has a table with precision, recall and the number of right ports, schemes and paths per product, each
//! mistake with its Service, and a line of `key=value` pairs. The exit code is 1 if there is a mistake, and 2 if a file
//! cannot be read.
//!
//! An endpoint is chosen if its confidence is at least Medium and it is not displaced. `ExternalName` Services,
//! Services without a selector and MCP servers are never chosen, because a user must allow them. Per scenario, a chosen
//! Service and port is right if the corpus calls it usable with that port and the product is right. It is neutral if
//! the corpus calls it an alternate, and else a false positive. A usable one that is not chosen is missed. Rows that
//! the corpus calls undecidable, and usable rows of products without a detector, are listed but are no mistakes.
//!
//! The scheme counts where the Service shows it (`appProtocol`, a name that starts with `https`, a serving
//! certificate). The path counts where the rules or the corpus have one. A missing path is a note, because no Service
//! shows its path.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its standard output")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use detectors::{
    Confidence, Finding, Outcome, PortView, Product, Protocol, Scheme, ServiceKey, ServiceType, ServiceView, StringMap,
    Target, TargetPort, displaced_endpoints, explain, recognise,
};
use serde_json::Value;

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        files = default_files();
    }
    let mut rows = Vec::new();
    for file in &files {
        match read(file) {
            Ok(more) => rows.extend(more),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        }
    }
    if rows.is_empty() {
        eprintln!("no corpus: give its files as arguments");
        return ExitCode::from(2);
    }
    let report = score(&rows);
    print!("{}", report.text);
    if report.mistakes == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn default_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// What the truth says of a Service.
enum Truth {
    Usable { port: u16, scheme: Scheme, path: String },
    Alternate,
    Other,
}

struct Row {
    scenario: String,
    view: ServiceView,
    /// The product with a detector that the truth names.
    product: Option<Product>,
    family: String,
    truth: Truth,
    undecidable: bool,
    notes: String,
    raw: Value,
}

fn read(file: &Path) -> Result<Vec<Row>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let rows: Vec<Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    rows.into_iter().map(row).collect()
}

fn row(raw: Value) -> Result<Row, String> {
    let text = |key: &str| raw[key].as_str().unwrap_or_default().to_owned();
    let family = text("family");
    let notes = text("notes");
    let flag = |key: &str| raw[key].as_bool().unwrap_or_default();
    let truth = if flag("usable_endpoint") {
        let port = number(&raw["port_to_use"]).ok_or_else(|| format!("{}: no port_to_use", text("name")))?;
        let scheme = if text("scheme") == "https" { Scheme::Https } else { Scheme::Http };
        Truth::Usable { port, scheme, path: text("path_prefix") }
    } else if flag("alternate_ok") {
        Truth::Alternate
    } else {
        Truth::Other
    };
    Ok(Row {
        scenario: text("scenario"),
        product: product_of(&family),
        undecidable: notes.starts_with("UNDECIDABLE"),
        view: view(&raw),
        family,
        truth,
        notes,
        raw,
    })
}

fn product_of(family: &str) -> Option<Product> {
    match family {
        "gmp-frontend" => Some(Product::Prometheus),
        "thanos-query" => Some(Product::Thanos),
        "opensearch-dashboards" => Some(Product::Kibana),
        other => other.parse().ok(),
    }
}

fn view(raw: &Value) -> ServiceView {
    let text = |key: &str| raw[key].as_str().unwrap_or_default();
    let map = |key: &str| -> StringMap {
        let entries = raw[key].as_object().into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    };
    ServiceView {
        key: ServiceKey::new(text("namespace"), text("name")),
        labels: map("labels"),
        annotations: map("annotations"),
        selector: map("selector"),
        ports: raw["ports"].as_array().into_iter().flatten().filter_map(port).collect(),
        service_type: match text("type") {
            "NodePort" => ServiceType::NodePort,
            "LoadBalancer" => ServiceType::LoadBalancer,
            "ExternalName" => ServiceType::ExternalName,
            _ => ServiceType::ClusterIP,
        },
        headless: text("clusterIP") == "None",
        external_ips: false,
        uid: 0,
        created: 0,
    }
}

fn port(raw: &Value) -> Option<PortView> {
    let target = match &raw["targetPort"] {
        Value::String(text) => {
            Some(text.parse().map_or_else(|_| TargetPort::Name(text.as_str().into()), TargetPort::Number))
        }
        other => number(other).map(TargetPort::Number),
    };
    Some(PortView {
        name: raw["name"].as_str().map(Into::into),
        port: number(&raw["port"])?,
        target,
        protocol: match raw["protocol"].as_str() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
        app_protocol: raw["appProtocol"].as_str().map(Into::into),
    })
}

fn number(raw: &Value) -> Option<u16> {
    raw.as_u64().and_then(|number| number.try_into().ok()).or_else(|| raw.as_str()?.parse().ok())
}

/// What was chosen, by the row's index.
fn choose(rows: &[Row]) -> Vec<Option<Finding>> {
    let mut chosen: Vec<Option<Finding>> = rows.iter().map(best).collect();
    let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        groups.entry((&row.scenario, &row.view.key.namespace)).or_default().push(at);
    }
    for group in groups.values() {
        let there: Vec<usize> = group.iter().copied().filter(|at| chosen[*at].is_some()).collect();
        let endpoints: Vec<(&ServiceView, &Finding)> =
            there.iter().filter_map(|at| Some((&rows[*at].view, chosen[*at].as_ref()?))).collect();
        let displaced = displaced_endpoints(&endpoints);
        for (at, displaced) in there.into_iter().zip(displaced) {
            if displaced.is_some() {
                chosen[at] = None;
            }
        }
    }
    chosen
}

fn best(row: &Row) -> Option<Finding> {
    if row.view.service_type == ServiceType::ExternalName || row.view.selector.is_empty() {
        return None;
    }
    recognise(&row.view).into_iter().find(|finding| {
        finding.product != Product::MCP
            && finding.confidence >= Confidence::Medium
            && matches!(finding.outcome, Outcome::Endpoint(_))
    })
}

#[derive(Default)]
struct Count {
    usable: u32,
    right: u32,
    wrong: u32,
    port: u32,
    scheme: u32,
    scheme_shown: u32,
    path: u32,
    path_given: u32,
}

struct Report {
    text: String,
    mistakes: u32,
}

fn score(rows: &[Row]) -> Report {
    let chosen = choose(rows);
    let mut counts: BTreeMap<Product, Count> = BTreeMap::new();
    let (mut mistakes, mut notes) = (String::new(), String::new());
    let (mut wrong, mut missed, mut undecidable, mut others) = (0, 0, 0, 0);
    for (row, chosen) in rows.iter().zip(&chosen) {
        let target = chosen.as_ref().and_then(|finding| match &finding.outcome {
            Outcome::Endpoint(target) => Some((finding.product, target)),
            _ => None,
        });
        match (&row.truth, row.product, target) {
            (Truth::Usable { port, scheme, path }, Some(product), Some((as_product, target))) => {
                let count = counts.entry(product).or_default();
                count.usable += 1;
                let comparison = compare(row, (*port, *scheme, path), target, count);
                if as_product == product && target.port == *port {
                    count.right += 1;
                    if let Some(wrong_detail) = comparison {
                        let out = if wrong_detail.starts_with("note") {
                            &mut notes
                        } else {
                            wrong += 1;
                            &mut mistakes
                        };
                        tell(out, &wrong_detail, row, Some((as_product, target)));
                    }
                } else {
                    wrong += 1;
                    counts.entry(as_product).or_default().wrong += 1;
                    tell(&mut mistakes, "wrong product or port", row, Some((as_product, target)));
                }
            }
            (Truth::Usable { .. }, Some(product), None) => {
                if row.undecidable {
                    undecidable += 1;
                    tell(&mut notes, "undecidable, not chosen", row, None);
                } else {
                    counts.entry(product).or_default().usable += 1;
                    missed += 1;
                    tell(&mut mistakes, "missed", row, None);
                }
            }
            (Truth::Usable { .. }, None, None) => others += 1,
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
    let mut text = table(&counts);
    for (title, lines) in [("\nMistakes\n", &mistakes), ("\nNotes\n", &notes)] {
        if !lines.is_empty() {
            text.push_str(title);
            text.push_str(lines);
        }
    }
    let sum = |of: fn(&Count) -> u32| counts.values().map(of).sum::<u32>();
    let _ = writeln!(
        text,
        "\nservices={} usable={} right={} false_positives={} missed={missed} undecidable={undecidable} \
         other_products={others} port={} scheme={}/{} path={}/{} mistakes={}",
        rows.len(),
        sum(|c| c.usable),
        sum(|c| c.right),
        sum(|c| c.wrong),
        sum(|c| c.port),
        sum(|c| c.scheme),
        sum(|c| c.scheme_shown),
        sum(|c| c.path),
        sum(|c| c.path_given),
        wrong + missed,
    );
    Report { text, mistakes: wrong + missed }
}

/// Counts what is right; `Some` says what is not.
fn compare(row: &Row, truth: (u16, Scheme, &str), target: &Target, count: &mut Count) -> Option<String> {
    let (port, scheme, path) = truth;
    count.port += u32::from(target.port == port);
    let mut detail = None;
    let shown = shows_scheme(row, port);
    if shown {
        count.scheme_shown += 1;
        count.scheme += u32::from(target.scheme == scheme);
    }
    if target.scheme != scheme {
        let kind =
            if shown || target.scheme == Scheme::Https { "wrong scheme" } else { "note: the scheme is not shown" };
        detail = Some(format!("{kind}, truth {scheme}"));
    }
    if !path.is_empty() || !target.path.is_empty() {
        count.path_given += 1;
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

fn tell(out: &mut String, what: &str, row: &Row, target: Option<(Product, &Target)>) {
    let _ =
        writeln!(out, "- {what}: [{}] {} (truth: {}, {})", row.scenario, row.view.key, row.raw["truth"], row.family);
    if let Some((product, target)) = target {
        let _ = writeln!(out, "    chosen: {product} {}://…:{}{}", target.scheme, target.port, target.path);
    }
    for key in ["type", "clusterIP", "labels", "annotations", "selector", "ports", "port_to_use"] {
        let _ = writeln!(out, "    {key}: {}", row.raw[key]);
    }
    if !row.notes.is_empty() {
        let _ = writeln!(out, "    notes: {}", row.notes);
    }
    let product = target.map(|(product, _)| product).or(row.product);
    for explanation in explain(&row.view).into_iter().filter(|explanation| Some(explanation.product) == product) {
        for evidence in &explanation.evidence {
            let sign = if evidence.supports { '+' } else { '-' };
            let _ = writeln!(out, "    {sign} {}", evidence.detail);
        }
        let _ = writeln!(out, "    {}", explanation.hint);
    }
}

fn table(counts: &BTreeMap<Product, Count>) -> String {
    let mut text = format!(
        "{:<16}{:>7}{:>7}{:>7}{:>11}{:>9}{:>7}{:>9}{:>7}\n",
        "product", "usable", "right", "wrong", "precision", "recall", "port", "scheme", "path"
    );
    for (product, count) in counts {
        let percent = |part: u32, whole: u32| {
            if whole == 0 { "-".to_owned() } else { format!("{:.1}%", f64::from(part) * 100.0 / f64::from(whole)) }
        };
        let _ = writeln!(
            text,
            "{:<16}{:>7}{:>7}{:>7}{:>11}{:>9}{:>7}{:>9}{:>7}",
            product.as_str(),
            count.usable,
            count.right,
            count.wrong,
            percent(count.right, count.right + count.wrong),
            percent(count.right, count.usable),
            count.port,
            format!("{}/{}", count.scheme, count.scheme_shown),
            format!("{}/{}", count.path, count.path_given),
        );
    }
    text
}
