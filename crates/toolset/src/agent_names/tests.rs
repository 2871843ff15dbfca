use detectors::ServiceView;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Index,
    fixtures::{annotated, config, index, rendered, service},
    render::{HOLMESGPT_KEY, TOOLSET_JSON_KEY},
};

#[test]
fn the_list_is_sorted_so_that_it_can_be_searched() {
    assert!(TOOLSETS.is_sorted());
}

#[test]
fn a_name_that_differs_from_a_built_in_only_by_what_the_agent_maps_is_taken() {
    for name in [
        "bash",
        "kubernetes/core",
        "kubernetes-core",
        "kubernetes_core",
        "mongodbatlas",
        "http",
        "skills",
        "kubectl-top-pods",
        "grafana-loki-list-instances",
        "discovered-revision-3f2a9c0d",
    ] {
        assert!(is_taken(name), "{name}");
    }
    assert!(!is_taken("jaeger-tracing-query"));
    assert!(!is_taken("grafana-loki-main"), "an admin may call an own tool so");
}

#[test]
fn a_name_looks_built_in_if_it_starts_with_a_toolset_of_several_words() {
    assert!(looks_built_in("grafana-loki-main") && looks_built_in("Kubernetes--Core_x"));
    assert!(!looks_built_in("grafana-lokis") && !looks_built_in("victorialogs-team-logs") && !looks_built_in("bash-x"));
}

#[test]
fn a_baseline_can_only_mean_a_toolset() {
    assert!(is_toolset("kubernetes/logs"));
    assert!(is_toolset("runbook"));
    assert!(!is_toolset("http"));
    assert!(!is_toolset("kubernetes-logs"));
}

/// A name as the agent's model sees it: in lower case, with one kind of separators.
fn as_seen(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// What is wrong with a name of a Tenant's tool or entry.
fn confusion(name: &str) -> Option<String> {
    static TOOLSETS_SEEN: LazyLock<Vec<String>> = LazyLock::new(|| TOOLSETS.iter().map(|name| as_seen(name)).collect());
    static TOOLS_SEEN: LazyLock<BTreeSet<String>> = LazyLock::new(|| TOOLS.split_whitespace().map(as_seen).collect());
    for seen in [as_seen(name), format!("{}_request", as_seen(name))] {
        let is_like = |toolset: &&String| {
            let rest = seen.strip_prefix(&**toolset);
            let within = |rest: &str| rest == "_list_instances" || toolset.contains('_') && rest.starts_with('_');
            rest.is_some_and(|rest| rest.is_empty() || within(rest))
        };
        if let Some(toolset) = TOOLSETS_SEEN.iter().find(is_like) {
            return Some(format!("{name:?} is like the toolset {toolset}"));
        }
        if TOOLS_SEEN.contains(&seen) {
            return Some(format!("{name:?} is like the tool {seen}"));
        }
    }
    name.starts_with("discovered-revision-").then(|| format!("{name:?} is like the entry of a revision"))
}

/// The names of all tools and entries of what Tenants announce.
fn names_of_tenants(known: &Index) -> Vec<String> {
    let spec = json!({
        "sources": [{"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}}],
        "baseline": [{"name": "kubernetes/core", "state": "Disabled"}],
        "consumer": {"revisionEntry": "Disabled"},
    });
    let (plan, rendered) = rendered(&config(spec), known);
    let entries: Value = serde_saphyr::from_str(&rendered.data[HOLMESGPT_KEY]).unwrap();
    let entries = entries["toolsets"].as_object().unwrap();
    let tools: Value = serde_json::from_str(&rendered.data[TOOLSET_JSON_KEY]).unwrap();
    let tools = tools["tools"].as_array().unwrap();
    assert_eq!((entries.len(), tools.len()), (plan.tools.len() + 1, plan.tools.len()));
    let entries = entries.keys().filter(|name| *name != "kubernetes/core").cloned();
    entries.chain(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned())).collect()
}

fn announced(namespace: &str, name: &str, type_: &str, chosen: Option<&str>) -> ServiceView {
    let mut annotations = vec![("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)];
    annotations.extend(chosen.map(|chosen| ("kubernaut.io/toolset-name", chosen)));
    annotated(service(namespace, name, &[("http", 80)]), &annotations)
}

#[test]
fn names_of_the_agent_are_not_handed_out_in_parts() {
    for (namespace, name, type_, chosen) in [
        ("core", "x", "jaeger", Some("kubernetes")),
        ("metrics", "x", "jaeger", Some("prometheus")),
        ("loki", "x", "jaeger", Some("grafana")),
        ("run", "x", "jaeger", Some("kubectl")),
        ("sql", "x", "jaeger", Some("database")),
        ("core", "kubernetes", "jaeger", None),
        ("loki", "main", "grafana", None),
        ("field", "names", "victorialogs", None),
        ("kube", "prometheus-stack", "kubernetes", None),
        ("revision", "3f2a9c0d", "discovered", None),
        ("revision-3f2a9c0d", "x", "jaeger", Some("discovered")),
        ("3f2a9c0d", "discovered-revision", "jaeger", None),
    ] {
        let names = names_of_tenants(&index([announced(namespace, name, type_, chosen)]));
        assert_eq!(names.len(), 2);
        for name in names {
            assert_eq!(confusion(&name), None);
        }
    }
}

/// A Service whose type, chosen name, namespace and name are parts of something in the agent.
fn any_announced() -> impl Strategy<Value = ServiceView> {
    let toolsets = TOOLSETS.iter().map(|name| as_seen(name));
    let mut known: Vec<String> = toolsets.chain(TOOLS.split_whitespace().map(as_seen)).collect();
    known.push("discovered_revision".to_owned());
    let end = prop::sample::select(vec!["", "_x", "_list_instances", "_request", "_3f2a9c0d"]);
    let long = prop::bool::weighted(0.2);
    (prop::sample::select(known), end, 0..4_usize, 0..4_usize, 0..3_usize, long).prop_map(
        |(name, end, first, second, shape, long)| {
            let words = format!("{name}{end}");
            let words: Vec<&str> = words.split('_').collect();
            let (first, rest) = words.split_at(first.min(words.len()));
            let (second, third) = rest.split_at(second.min(rest.len()));
            let part = |words: &[&str], or: &str| {
                let part = words.join("-");
                let part: String = part.chars().take(if long { 32 } else { 30 }).collect();
                let part = part.trim_matches('-').to_owned();
                if part.is_empty() { or.to_owned() } else { part }
            };
            let (first, second, third) = (part(first, "x"), part(second, "y"), part(third, "z"));
            let is_type = crate::checked::is_custom_type(&first);
            let filler = if long { "a".repeat(40) } else { "a".to_owned() };
            match shape {
                0 if is_type => announced(&second, &third, &first, None),
                1 => announced(&second, &filler, "jaeger", Some(&first)),
                _ => announced(&third, &format!("{first}-{second}"), "tempo", None),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_name_that_a_tenant_can_cause_is_like_one_of_the_agent(all in prop::collection::vec(any_announced(), 1..5)) {
        for name in names_of_tenants(&index(all)) {
            prop_assert_eq!(confusion(&name), None);
        }
    }
}
