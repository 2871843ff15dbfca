use proptest::prelude::*;

use super::*;
use crate::{Confidence, Rank, ServiceKey, Target, view::StringMap};

fn view(namespace: &str, name: &str, selector: &[(&str, &str)], labels: &[(&str, &str)]) -> ServiceView {
    ServiceView {
        key: ServiceKey::new(namespace, name),
        uid: 0,
        labels: labels.iter().copied().collect(),
        annotations: StringMap::default(),
        selector: selector.iter().copied().collect(),
        ports: Box::new([]),
        service_type: ServiceType::ClusterIP,
        headless: false,
        external_ips: false,
        created: 0,
    }
}

fn finding(tier: u8) -> Finding {
    Finding {
        product: Product::Prometheus,
        confidence: Confidence::High,
        outcome: Outcome::Endpoint(Target { port: 80, scheme: crate::Scheme::Http, path: "".into() }),
        rank: Rank { tier, ..Rank::default() },
        hint: None,
        auth: crate::Auth::Unknown,
        assumed: crate::Assumed::NOTHING,
        decided_by: "".into(),
        by_port_alone: false,
    }
}

/// What every endpoint gives way to, by a comparison with all that come before it.
fn by_comparison(endpoints: &[(&ServiceView, &Finding)]) -> Vec<Option<Displaced>> {
    let mut sorted: Vec<Endpoint<'_>> =
        endpoints.iter().enumerate().map(|(at, (view, finding))| Endpoint::of(at, view, finding)).collect();
    sorted.sort_by(|a, b| a.group().cmp(&b.group()).then_with(|| a.preference().cmp(&b.preference())));
    let mut displaced = vec![None; endpoints.len()];
    for group in sorted.chunk_by(|a, b| a.group() == b.group()) {
        let mut used: Vec<usize> = (0..group.len()).collect();
        for (this, endpoint) in group.iter().enumerate() {
            let mut preferred = group[..this].iter().enumerate();
            let first = preferred.find_map(|(at, other)| Some((at, endpoint.gives_way_to(other)?)));
            if let Some((other, because)) = first {
                used[this] = used[other];
                displaced[endpoint.at] = Some(Displaced { by: group[used[other]].view.key.clone(), because });
            }
        }
    }
    displaced
}

fn any_endpoint() -> impl Strategy<Value = (ServiceView, Finding)> {
    let text = |values: &'static [&'static str]| prop::sample::select(values);
    let pair = (text(&["app", "release", "tier"]), text(&["a", "b"]));
    let label = (text(&["app", "app.kubernetes.io/instance", "app.kubernetes.io/name"]), text(&["a", "b"]));
    (
        text(&["a", "a-headless", "a-hl", "b", "b-headless", "c", "d", "e"]),
        prop::collection::vec(pair, 0..4),
        prop::collection::vec(label, 0..3),
        (any::<bool>(), prop::sample::select(vec![0_u8, 1, 2, FALLBACK_TIER])),
    )
        .prop_map(|(name, selector, labels, (headless, tier))| {
            (ServiceView { headless, ..view("m", name, &selector, &labels) }, finding(tier))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_search_finds_what_a_comparison_with_all_finds(
        all in prop::collection::vec(any_endpoint(), 0..8),
    ) {
        let mut names = std::collections::BTreeSet::new();
        let all: Vec<_> = all.into_iter().filter(|(view, _)| names.insert(view.key.clone())).collect();
        let endpoints: Vec<_> = all.iter().map(|(view, finding)| (view, finding)).collect();
        prop_assert_eq!(displaced_endpoints(&endpoints), by_comparison(&endpoints));
    }
}

/// The selector of the endpoint with a number.
type SelectorOf = fn(usize) -> Vec<(String, String)>;

/// How many pairs are compared among `count` endpoints in `namespaces` namespaces.
fn compared(count: usize, namespaces: usize, selector: SelectorOf) -> usize {
    let views: Vec<ServiceView> = (0..count)
        .map(|number| {
            let selector = selector(number);
            let selector: Vec<(&str, &str)> = selector.iter().map(|(key, value)| (&**key, &**value)).collect();
            let namespace = format!("n{}", number % namespaces);
            // An instance each, so that they are not one install.
            let instance = format!("i{number}");
            view(&namespace, &format!("s{number}"), &selector, &[("app.kubernetes.io/instance", &instance)])
        })
        .collect();
    let finding = finding(0);
    let endpoints: Vec<_> = views.iter().map(|view| (view, &finding)).collect();
    displaced(&endpoints).1
}

fn bit(number: usize, place: usize) -> (String, String) {
    (format!("k{place}"), (number >> place & 1).to_string())
}

#[test]
fn the_number_of_comparisons_grows_with_the_number_of_endpoints_and_not_with_its_square() {
    let shapes: [(usize, SelectorOf); 7] = [
        (3, |number| vec![("app".to_owned(), format!("prometheus-{number}"))]),
        (3, |_| vec![("app".to_owned(), "prometheus".to_owned())]),
        (OVERLAPS, |number| {
            vec![("app".to_owned(), "prometheus".to_owned()), ("instance".to_owned(), number.to_string())]
        }),
        (3, |_| Vec::new()),
        // Every pair is in half of the selectors, and none includes another.
        (COMPARISONS, |number| (0..14).map(|place| bit(number, place)).collect()),
        // Every selector of that kind twice.
        (COMPARISONS, |number| (0..14).map(|place| bit(number / 2, place)).collect()),
        // Selectors of different lengths, so that some include others.
        (COMPARISONS, |number| (number % 12..14).map(|place| bit(number, place)).collect()),
    ];
    for (shape, (each, selector)) in shapes.into_iter().enumerate() {
        for namespaces in [1, 300] {
            let compared = compared(3000, namespaces, selector);
            assert!(compared <= each * 3000, "shape {shape} in {namespaces} namespaces: {compared}");
        }
    }
}

#[test]
fn an_equal_selector_is_found_among_any_number_of_neighbours() {
    let selector = |number: usize| -> Vec<(String, String)> { (0..14).map(|place| bit(number, place)).collect() };
    let views: Vec<ServiceView> = (0..600)
        .map(|number| {
            // The last hundred have the selectors of the first hundred.
            let selector = selector(number % 500);
            let selector: Vec<(&str, &str)> = selector.iter().map(|(key, value)| (&**key, &**value)).collect();
            let instance = format!("i{number}");
            view("m", &format!("s{number:04}"), &selector, &[("app.kubernetes.io/instance", &instance)])
        })
        .collect();
    let finding = finding(0);
    let endpoints: Vec<_> = views.iter().map(|view| (view, &finding)).collect();
    let displaced = displaced_endpoints(&endpoints);
    for number in 0..600 {
        let by = displaced[number].as_ref().map(|displaced| displaced.by.clone());
        let expected = number.checked_sub(500).map(|first| views[first].key.clone());
        assert_eq!(by, expected, "{number}");
    }
}
