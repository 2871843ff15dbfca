//! Which changes concern a `ToolsetConfig`. After an event only those are planned whose plan can differ because of it.

use crd_types::{IdentityMode, OutputFormat, Signature, Source, State, ToolsetConfig, Trust};
use detectors::{ServiceKey, StringMap};

use super::{annotation, signature, source};
use crate::index::{Change, Index, Recognised};

/// The part of a `ToolsetConfig` that decides whether a change concerns it.
#[derive(Clone, Debug)]
pub struct Interest {
    own_namespace: Option<String>,
    sources: Vec<Source>,
    signatures: Vec<Signature>,
    pods: bool,
    identity: bool,
    /// Whether the output depends on Services that nothing recognises any more, because their data sources are still in
    /// Grafana.
    remembers: bool,
}

impl Interest {
    /// The interest of one `ToolsetConfig`. Create it again when the spec changes.
    pub fn of(config: &ToolsetConfig) -> Self {
        Self {
            own_namespace: config.metadata.namespace.clone(),
            sources: config.spec.sources.clone(),
            signatures: config.spec.signatures.clone(),
            pods: config.spec.evidence.pods == State::Enabled,
            identity: config.spec.evidence.identity == IdentityMode::Probe,
            remembers: config.spec.output.writes(OutputFormat::GrafanaDatasources),
        }
    }

    /// Whether the plan of the `ToolsetConfig` can differ because of a change. `index` already holds the change.
    ///
    /// The index may hold several changes, for example after a list. If none of them concerns the `ToolsetConfig`, its
    /// plan is as it was before all of them.
    pub fn concerns(&self, change: &Change, index: &Index) -> bool {
        match change {
            Change::Service { key, before } => {
                let states = before.as_deref().into_iter().chain(index.service(key));
                let is_known = |service: &Recognised| self.remembers || self.recognises(service);
                self.takes(key, states.filter(|service| is_known(service)), index, |_| true)
            }
            Change::Readiness { key, before } => {
                let now = index.readiness(key);
                let only_whose = (now.serving, now.manual) == (before.serving, before.manual);
                // The owner of slices matters only for Tenants. Nearly every new Service gets slices a moment later.
                let fits = |source: &Source| !only_whose || source.trust == Trust::Tenant;
                self.takes(key, index.service(key).into_iter().filter(|service| self.recognises(service)), index, fits)
            }
            Change::Pods { key } => {
                let service = index.service(key).filter(|service| self.pods && self.recognises(service));
                self.takes(key, service.into_iter(), index, |source| source.trust == Trust::Trusted)
            }
            Change::Identity { key } => {
                let service = index.service(key).filter(|service| self.identity && self.recognises(service));
                self.takes(key, service.into_iter(), index, |source| source.trust == Trust::Trusted)
            }
            // This holds also if no Service of the namespace is known, because it may have gone at the same time.
            Change::Namespace { name, before } => {
                let after = index.namespace_labels(name);
                self.sources
                    .iter()
                    .any(|source| self.covers(source, name, before.as_ref()) != self.covers(source, name, after))
            }
        }
    }

    /// Whether a change takes a Service away from the `ToolsetConfig`. The Service can no longer be a candidate, its owner
    /// opted out, or an EndpointSlice that was made by hand appeared.
    pub fn withdraws(&self, change: &Change, index: &Index) -> bool {
        let (key, before) = match change {
            Change::Service { key, before } => (key, before),
            Change::Readiness { key, before } => return index.readiness(key).manual && !before.manual,
            Change::Pods { .. } | Change::Identity { .. } | Change::Namespace { .. } => return false,
        };
        let offered = |service: &Recognised| {
            !annotation::is_opted_out(&service.view)
                && self.recognises(service)
                && self.takes(key, std::iter::once(service), index, |_| true)
        };
        before.as_deref().is_some_and(offered) && !index.service(key).is_some_and(offered)
    }

    /// Whether a Service, in any of these states, can be a candidate of a source that fits.
    fn takes<'a>(
        &self,
        key: &ServiceKey,
        mut states: impl Iterator<Item = &'a Recognised>,
        index: &Index,
        fits: impl Fn(&Source) -> bool,
    ) -> bool {
        let labels = index.namespace_labels(&key.namespace);
        let covering: Vec<&Source> =
            self.sources.iter().filter(|source| self.covers(source, &key.namespace, labels)).collect();
        !covering.is_empty()
            && states.any(|service| {
                let source = covering.iter().find(|source| source::wants(source, &service.view));
                source.is_some_and(|source| fits(source))
            })
    }

    fn recognises(&self, service: &Recognised) -> bool {
        service.is_interesting() || self.signatures.iter().any(|signature| signature::matches(signature, &service.view))
    }

    fn covers(&self, source: &Source, namespace: &str, labels: Option<&StringMap>) -> bool {
        source::covers(source, self.own_namespace.as_deref(), namespace, labels)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        NamespaceView,
        fixtures::{annotated, config, grafana, service, slice},
    };

    /// A source, beside its name and trust.
    fn interest(namespaces: &serde_json::Value, signatures: &serde_json::Value) -> Interest {
        Interest::of(&config(json!({
            "sources": [{"name": "s", "trust": "Trusted", "namespaces": namespaces}],
            "signatures": signatures,
        })))
    }

    fn only(namespace: &str) -> Interest {
        interest(&json!({"from": "Names", "names": [namespace]}), &json!([]))
    }

    #[test]
    fn a_service_concerns_those_whose_sources_cover_its_namespace() {
        let mut index = Index::default();
        let change = index.apply_service(grafana("a", "g")).unwrap();
        assert!(only("a").concerns(&change, &index));
        assert!(!only("b").concerns(&change, &index));
        assert!(interest(&json!({"from": "All"}), &json!([])).concerns(&change, &index));
        assert!(!interest(&json!({"from": "Same"}), &json!([])).concerns(&change, &index));
    }

    #[test]
    fn a_service_that_nothing_recognises_concerns_only_a_signature_that_matches_it() {
        let mut index = Index::default();
        let mut view = service("a", "checkout", &[("http", 80)]);
        view.labels = [("app", "acme")].into_iter().collect();
        let change = index.apply_service(view).unwrap();
        let signature = |app: &str| json!([{"name": "m", "type": "Loki", "selector": {"matchLabels": {"app": app}}}]);
        assert!(!only("a").concerns(&change, &index));
        assert!(interest(&json!({"from": "All"}), &signature("acme")).concerns(&change, &index));
        assert!(!interest(&json!({"from": "All"}), &signature("other")).concerns(&change, &index));
    }

    #[test]
    fn a_service_concerns_also_those_that_it_leaves() {
        let mut index = Index::default();
        index.apply_service(grafana("a", "g"));
        let plain = index.apply_service(service("a", "g", &[("http", 80)])).unwrap();
        assert!(only("a").concerns(&plain, &index));
        index.apply_service(grafana("a", "g"));
        let gone = index.delete_service(&ServiceKey::new("a", "g")).unwrap();
        assert!(only("a").concerns(&gone, &index));
    }

    #[test]
    fn a_service_is_withdrawn_when_it_goes_or_opts_out_or_leaves_the_selector() {
        let labelled = |app: &str| {
            let mut view = grafana("a", "g");
            view.labels = [("app.kubernetes.io/name", "grafana"), ("app", app)].into_iter().collect();
            view
        };
        let selects = Interest::of(&config(json!({"sources": [{
            "name": "s", "trust": "Trusted", "namespaces": {"from": "All"},
            "serviceSelector": {"matchLabels": {"app": "ours"}},
        }]})));
        let mut index = Index::default();
        let mut withdrawn = |view| {
            let change = index.apply_service(view).unwrap();
            selects.withdraws(&change, &index)
        };
        assert!(!withdrawn(labelled("ours")), "a new one");
        assert!(!withdrawn(annotated(labelled("ours"), &[("kubernaut.io/toolset-path", "/x")])), "another endpoint");
        assert!(withdrawn(annotated(labelled("ours"), &[("kubernaut.io/toolset", "disabled")])), "an opt-out");
        assert!(!withdrawn(labelled("ours")), "an opt-out that is taken back");
        assert!(withdrawn(labelled("theirs")), "another label");
        assert!(!withdrawn(labelled("others")), "it was not selected");
        assert!(!withdrawn(labelled("ours")));
        let gone = index.delete_service(&ServiceKey::new("a", "g")).unwrap();
        assert!(selects.withdraws(&gone, &index));
    }

    #[test]
    fn a_service_that_nothing_recognises_any_more_concerns_those_whose_files_remember_it() {
        let with = |format: &str| {
            Interest::of(&config(json!({
                "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}],
                "output": {"formats": [format]},
            })))
        };
        let mut index = Index::default();
        let plain = service("a", "g", &[("http", 80)]);
        index.apply_service(plain.clone());
        let gone = index.delete_service(&ServiceKey::new("a", "g")).unwrap();
        assert!(with("GrafanaDatasources").concerns(&gone, &index) && !with("HolmesGPT").concerns(&gone, &index));
        index.apply_service(plain.clone());
        let [ready] = &index.apply_slice(slice(&plain, true))[..] else { panic!("one change") };
        assert!(!with("GrafanaDatasources").concerns(ready, &index), "the health of others is no news");
    }

    #[test]
    fn a_namespace_concerns_those_whose_selector_changes_its_mind() {
        let by_label = interest(&json!({"from": "Selector", "selector": {"matchLabels": {"tier": "a"}}}), &json!([]));
        let view = |tier: &str| NamespaceView { name: "n".into(), labels: [("tier", tier)].into_iter().collect() };
        let mut index = Index::default();
        for (tier, expected) in [("b", false), ("a", true), ("c", true), ("d", false)] {
            let change = index.apply_namespace(view(tier)).unwrap();
            assert_eq!(by_label.concerns(&change, &index), expected, "{tier}");
            assert!(!interest(&json!({"from": "All"}), &json!([])).concerns(&change, &index));
        }
    }

    #[test]
    fn a_service_that_is_deleted_while_its_namespace_leaves_the_source_is_not_missed() {
        let by_label = interest(&json!({"from": "Selector", "selector": {"matchLabels": {"tier": "a"}}}), &json!([]));
        let mut index = Index::default();
        index.apply_namespace(NamespaceView { name: "n".into(), labels: [("tier", "a")].into_iter().collect() });
        index.apply_service(grafana("n", "g"));
        let changes = [index.delete_service(&ServiceKey::new("n", "g")).unwrap(), index.delete_namespace("n").unwrap()];
        assert!(changes.iter().any(|change| by_label.concerns(change, &index)));
    }

    #[test]
    fn to_whom_slices_belong_concerns_only_those_to_whom_the_service_is_a_tenant() {
        let mut index = Index::default();
        let grafana = grafana("a", "g");
        index.apply_service(grafana.clone());
        let tenant = Interest::of(&config(json!({
            "sources": [{"name": "s", "trust": "Tenant", "namespaces": {"from": "All"}}],
        })));
        let [came] = &index.apply_slice(slice(&grafana, false))[..] else { panic!("one change") };
        assert!(tenant.concerns(came, &index) && !only("a").concerns(came, &index));
        let [serves] = &index.apply_slice(slice(&grafana, true))[..] else { panic!("one change") };
        assert!(tenant.concerns(serves, &index) && only("a").concerns(serves, &index));
    }
}
