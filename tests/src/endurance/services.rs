//! The Services of a run, and what becomes of each of them.

use detectors::ServiceKey;
use serde_json::{Value, json};

use super::places::TIER;
use crate::random::Random;

/// What makes a Service a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its owner says so, with annotations.
    Annotated(&'static str),
    /// The labels of a chart.
    Chart,
    /// Annotations too, but it has no selector, and its EndpointSlice is made by hand.
    Manual,
    /// Nothing. It is an application.
    Shop,
}

/// The types that owners give their Services.
pub(super) const TYPES: [&str; 5] = ["prometheus", "grafana", "loki", "jaeger", "vector-database"];

/// A Service as it is at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    kind: Kind,
    port: u16,
    path: Option<usize>,
    opted_out: bool,
    /// Whether it has the labels or annotations of its kind.
    recognised: bool,
    gold: bool,
    /// A label that concerns nobody.
    build: usize,
}

impl State {
    /// A Service that is listed.
    pub(super) fn new(kind: Kind, port: u16) -> Self {
        Self { kind, port, path: None, opted_out: false, recognised: true, gold: true, build: 0 }
    }

    /// A Service of any kind.
    pub(super) fn random(random: &mut Random) -> Self {
        let kind = match random.below(10) {
            0 => Kind::Shop,
            1..=3 => Kind::Chart,
            _ => Kind::Annotated(random.one_of(&TYPES).copied().unwrap_or_default()),
        };
        Self { gold: random.percent(50), ..Self::new(kind, 8080) }
    }

    /// One of the changes that owners make.
    pub(super) fn change(&mut self, random: &mut Random) {
        match random.below(10) {
            0..=2 => self.path = (self.path != Some(0)).then(|| random.below(5)),
            3 | 4 => self.port = if self.port == 8080 { 9090 } else { 8080 },
            5 => self.opted_out = !self.opted_out,
            6 => self.recognised = !self.recognised,
            7 => self.gold = !self.gold,
            _ => self.build += 1,
        }
    }

    /// The endpoint that every output has if it lists the Service. `None` if no output may list it.
    pub(super) fn endpoint(&self, key: &ServiceKey) -> Option<String> {
        let listed = self.recognised && !self.opted_out && self.kind != Kind::Shop;
        let path = self.path.filter(|_| self.kind != Kind::Chart).map(|path| format!("/p{path}")).unwrap_or_default();
        let (name, namespace, port) = (&key.name, &key.namespace, self.port);
        listed.then(|| format!("http://{name}.{namespace}.svc.cluster.local:{port}{path}"))
    }

    /// The object to apply.
    pub(super) fn manifest(&self, key: &ServiceKey) -> Value {
        let name: &str = &key.name;
        let mut labels = json!({"app": name, "build": self.build.to_string()});
        let mut annotations = json!({});
        if self.gold {
            labels[TIER] = json!("gold");
        }
        match self.kind {
            Kind::Annotated(_) | Kind::Manual if self.recognised => {
                let kind = if let Kind::Annotated(kind) = self.kind { kind } else { "prometheus" };
                annotations["kubernaut.io/toolset"] = json!("enabled");
                annotations["kubernaut.io/toolset-type"] = json!(kind);
                if let Some(path) = self.path {
                    annotations["kubernaut.io/toolset-path"] = json!(format!("/p{path}"));
                }
            }
            Kind::Chart if self.recognised => {
                labels["app.kubernetes.io/name"] = json!("prometheus");
                labels["app.kubernetes.io/component"] = json!("server");
                labels["app.kubernetes.io/instance"] = json!(name);
            }
            _ => {}
        }
        if self.opted_out {
            annotations["kubernaut.io/toolset"] = json!("disabled");
        }
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "namespace": &*key.namespace, "name": name, "labels": labels, "annotations": annotations,
            },
            "spec": {"ports": [{"name": "http", "port": self.port, "targetPort": 8080}]},
        });
        if self.kind != Kind::Manual {
            object["spec"]["selector"] = json!({"app": name});
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_owner_says_is_in_the_object_and_in_the_endpoint() {
        let key = ServiceKey::new("apps", "tool");
        let state = State { path: Some(2), ..State::new(Kind::Annotated("loki"), 9090) };
        let annotations = &state.manifest(&key)["metadata"]["annotations"];
        assert_eq!(annotations["kubernaut.io/toolset-type"], "loki");
        assert_eq!(annotations["kubernaut.io/toolset-path"], "/p2");
        assert_eq!(state.endpoint(&key).as_deref(), Some("http://tool.apps.svc.cluster.local:9090/p2"));
        let out = State { opted_out: true, ..state };
        assert_eq!(out.manifest(&key)["metadata"]["annotations"]["kubernaut.io/toolset"], "disabled");
        assert_eq!(out.endpoint(&key), None);
        assert_eq!(State::new(Kind::Shop, 80).endpoint(&key), None);
    }

    #[test]
    fn a_service_changes_in_every_respect() {
        let mut random = Random::new(5, "services");
        let first = State::new(Kind::Annotated("grafana"), 8080);
        let mut state = first.clone();
        let mut seen = [false; 6];
        for _ in 0..200 {
            state.change(&mut random);
            for (seen, differs) in seen.iter_mut().zip([
                state.path != first.path,
                state.port != first.port,
                state.opted_out,
                !state.recognised,
                !state.gold,
                state.build != first.build,
            ]) {
                *seen |= differs;
            }
        }
        assert_eq!(seen, [true; 6]);
    }
}
