//! Which Services a page lists, in which order. A filter is the query of an address, so it can be sent to somebody.

use std::cmp::Ordering;

use serde::Deserialize;
use url::form_urlencoded;

use super::review::{Outcome, Review, Row};

/// The number of Services on a page.
pub(super) const PAGE: usize = 200;

/// The query of the list of Services. What it does not name is not filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// The ToolsetConfig, as `NAMESPACE/NAME`.
    pub config: String,
    /// A text in any of the columns.
    pub q: String,
    pub namespace: String,
    /// One of [`SHOWN`].
    pub show: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub reason: String,
    /// The key of a column, with `-` in front for the other direction.
    pub sort: String,
    pub page: String,
}

/// The values of `show`, and their words.
pub(super) const SHOWN: [(&str, &str); 6] = [
    ("", "Recognised Services"),
    ("tools", "Tools"),
    ("rejected", "Recognised, not a tool"),
    ("not-selected", "Not selected by a source"),
    ("not-recognised", "Not recognised"),
    ("all", "All Services"),
];

/// The columns: the key of the order, and the heading.
pub(super) const COLUMNS: [(&str, &str); 6] = [
    ("service", "Service"),
    ("result", "Result"),
    ("type", "Type"),
    ("confidence", "Confidence"),
    ("health", "Health"),
    ("source", "Source"),
];

/// A page of the list.
pub(super) struct Page<'a> {
    pub rows: Vec<&'a Row>,
    /// How many Services match.
    pub matching: usize,
    /// The number of this page, from 1.
    pub number: usize,
    /// The number of pages, at least 1.
    pub pages: usize,
}

impl Filter {
    /// The Services that match, in order, and of them one page.
    pub(super) fn apply<'a>(&self, review: &'a Review) -> Page<'a> {
        let searched = self.q.trim().to_ascii_lowercase();
        let mut rows: Vec<&Row> = review.rows.iter().filter(|row| self.matches(row, &searched)).collect();
        let (key, reversed) = self.order();
        rows.sort_by(|a, b| {
            let order = compare(key, a, b);
            // Namespace and name decide between equals, always in the same direction.
            (if reversed { order.reverse() } else { order })
                .then_with(|| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)))
        });
        let matching = rows.len();
        let pages = matching.div_ceil(PAGE).max(1);
        let number = self.page.parse().unwrap_or(1).clamp(1, pages);
        let rows = rows.into_iter().skip((number - 1) * PAGE).take(PAGE).collect();
        Page { rows, matching, number, pages }
    }

    fn matches(&self, row: &Row, searched: &str) -> bool {
        let shown = match self.show.as_str() {
            "all" => true,
            "" => row.recognised,
            wanted => row.outcome.as_str() == wanted,
        };
        let is = |wanted: &str, value: &str| wanted.is_empty() || wanted == value;
        shown
            && is(&self.namespace, &row.namespace)
            && is(&self.type_name, &row.type_name)
            && is(&self.reason, row.reason)
            && row.searched.contains(searched)
    }

    /// The key of the order, and whether it is reversed.
    pub(super) fn order(&self) -> (&str, bool) {
        match self.sort.strip_prefix('-') {
            Some(key) => (key, true),
            None if self.sort.is_empty() => ("service", false),
            None => (&self.sort, false),
        }
    }

    /// Whether it shows less than the recognised Services.
    pub(super) fn is_narrowed(&self) -> bool {
        [&self.q, &self.namespace, &self.show, &self.type_name, &self.reason].iter().any(|part| !part.is_empty())
    }

    /// The address of the list with this filter and a page.
    pub(super) fn address(&self, page: usize) -> String {
        let page = if page > 1 { page.to_string() } else { String::new() };
        let pairs = [
            ("config", &self.config),
            ("q", &self.q),
            ("namespace", &self.namespace),
            ("show", &self.show),
            ("type", &self.type_name),
            ("reason", &self.reason),
            ("sort", &self.sort),
            ("page", &page),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        match query.finish() {
            empty if empty.is_empty() => "services".to_owned(),
            query => format!("services?{query}"),
        }
    }

    /// The address with the order of a column. The order of the same column is reversed.
    pub(super) fn sorted_by(&self, key: &str) -> String {
        let (now, reversed) = self.order();
        let sort = if now == key && !reversed { format!("-{key}") } else { key.to_owned() };
        Self { sort, ..self.clone() }.address(1)
    }
}

fn compare(key: &str, a: &Row, b: &Row) -> Ordering {
    // What is not known comes last.
    let text = |a: &str, b: &str| (a.is_empty(), a).cmp(&(b.is_empty(), b));
    match key {
        "result" => (a.outcome, a.reason).cmp(&(b.outcome, b.reason)),
        "type" => text(&a.type_name, &b.type_name),
        "confidence" => grade(a.confidence).cmp(&grade(b.confidence)),
        "health" => text(a.health, b.health),
        "source" => text(&a.source, &b.source),
        _ => (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)),
    }
}

/// The highest confidence comes first.
fn grade(confidence: &str) -> usize {
    ["High", "Medium", "Low"].iter().position(|known| *known == confidence).unwrap_or(usize::MAX)
}

/// The values that a filter offers, each with the number of Services.
pub(super) fn choices<'a>(review: &'a Review, of: impl Fn(&'a Row) -> &'a str) -> Vec<(&'a str, usize)> {
    let mut values: Vec<&str> = review.rows.iter().filter(|row| row.recognised).map(of).collect();
    values.retain(|value| !value.is_empty());
    values.sort_unstable();
    values.chunk_by(|a, b| a == b).filter_map(|same| Some((*same.first()?, same.len()))).collect()
}

/// The reasons of the Services that are not tools, the most frequent first.
pub(super) fn reasons(review: &Review) -> Vec<(&str, usize)> {
    let mut reasons = choices(review, |row| if row.outcome == Outcome::Rejected { row.reason } else { "" });
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        input,
        ui::{known::Known, review::Review},
    };

    /// What follows from these Services without a ToolsetConfig.
    fn review(services: &str) -> Review {
        let snapshot = input::snapshot_of_text("test", services).unwrap();
        Review::new(&Known::new(snapshot, &[]), toolset::DEFAULT_CLUSTER_DOMAIN)
    }

    fn service(namespace: &str, name: &str, label: &str) -> String {
        format!(
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}, labels: \
             {{app.kubernetes.io/name: {label}}}}}, spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 3000}}]}}}}\n"
        )
    }

    fn names(filter: &Filter, review: &Review) -> Vec<String> {
        filter.apply(review).rows.iter().map(|row| format!("{}/{}", row.namespace, row.name)).collect()
    }

    #[test]
    fn only_recognised_services_are_listed_without_a_filter() {
        let review = review(&(service("a", "grafana", "grafana") + &service("a", "shop", "shop")));
        assert_eq!(names(&Filter::default(), &review), ["a/grafana"]);
        let all = Filter { show: "all".to_owned(), ..Filter::default() };
        assert_eq!(names(&all, &review), ["a/grafana", "a/shop"]);
        let not_recognised = Filter { show: "not-recognised".to_owned(), ..Filter::default() };
        assert_eq!(names(&not_recognised, &review), ["a/shop"]);
    }

    #[test]
    fn a_search_ignores_case_and_finds_namespace_and_name_together() {
        let review = review(&(service("team-a", "grafana", "grafana") + &service("team-b", "grafana", "grafana")));
        let search = |q: &str| names(&Filter { q: q.to_owned(), ..Filter::default() }, &review);
        assert_eq!(search(" Team-A/GRAF "), ["team-a/grafana"]);
        assert_eq!(search("team-c"), Vec::<String>::new());
        assert_eq!(search("grafana.team-b.svc"), ["team-b/grafana"], "the endpoint is searched");
    }

    #[test]
    fn the_other_direction_keeps_the_order_of_equals() {
        let review = review(&(service("a", "one", "grafana") + &service("b", "two", "grafana")));
        let sorted = |sort: &str| names(&Filter { sort: sort.to_owned(), ..Filter::default() }, &review);
        assert_eq!(sorted("type"), ["a/one", "b/two"]);
        assert_eq!(sorted("-type"), ["a/one", "b/two"]);
        assert_eq!(sorted("-service"), ["b/two", "a/one"]);
    }

    #[test]
    fn a_page_has_200_services_and_an_impossible_page_is_the_last_one() {
        let services: String = (0..401).map(|number| service("a", &format!("s{number:03}"), "shop")).collect();
        let review = review(&services);
        let page = |page: &str| Filter { show: "all".to_owned(), page: page.to_owned(), ..Filter::default() };
        let numbers = |wanted: &str| {
            let filter = page(wanted);
            let page = filter.apply(&review);
            (page.number, page.rows.len(), page.pages, page.matching)
        };
        assert_eq!(numbers(""), (1, 200, 3, 401));
        assert_eq!(numbers("3"), (3, 1, 3, 401));
        assert_eq!(numbers("99"), (3, 1, 3, 401));
        assert_eq!(numbers("-1"), (1, 200, 3, 401));
    }

    #[test]
    fn an_address_holds_the_filter() {
        let filter = Filter { q: "a b&c".to_owned(), sort: "type".to_owned(), ..Filter::default() };
        assert_eq!(filter.address(1), "services?q=a+b%26c&sort=type");
        assert_eq!(filter.address(2), "services?q=a+b%26c&sort=type&page=2");
        assert_eq!(filter.sorted_by("type"), "services?q=a+b%26c&sort=-type");
        assert_eq!(Filter::default().address(1), "services");
    }
}
