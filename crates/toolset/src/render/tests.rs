use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{
    fixtures::{annotated, config, index, prometheus, service},
    pipeline::{self, HealthInput},
};

/// The reasons of all notes about a spec that asks for everything that HolmesGPT does not support.
fn reasons(formats: &serde_json::Value, base: Base<'_>) -> BTreeSet<Reason> {
    let jaeger = annotated(service("monitoring", "j", &[("http", 16686)]), &[("kubernaut.io/toolset-type", "jaeger")]);
    let unsupported = json!({"timeoutSeconds": 5, "paths": ["/x"]});
    let config = config(json!({
        "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "overrides": [
            {"name": "p", "match": {"namespace": "monitoring", "service": "p"}, "settings": unsupported,
             "credentials": {"type": "ApiKey", "env": "KEY"}, "instructions": "x", "description": "{{ env.X }}"},
            {"name": "j", "match": {"service": "j"}, "toolName": "bash", "instructions": "{% raw %}"},
        ],
        "tools": [
            {"name": "skills", "type": "Zipkin", "endpoint": "https://zipkin.example/"},
            {"name": "es", "type": "Elasticsearch", "endpoint": "https://es.example/", "tenantID": "1",
             "credentials": {"type": "Bearer", "env": "TOKEN"}},
        ],
        "baseline": [{"name": "no/such-toolset", "state": "Enabled"}],
        "output": {"formats": formats, "base": {"configMapName": "mine", "key": "custom_toolset.yaml"}},
    }));
    let outcome = pipeline::run(pipeline::Input {
        config: &config,
        cluster_domain: crate::DEFAULT_CLUSTER_DOMAIN,
        index: &index([prometheus("monitoring", "p"), jaeger]),
        admits: None,
        remembered: None,
        health: HealthInput::Unobserved,
        legacy_overrides: None,
        base: Some(base),
        previous: None,
    });
    assert_eq!(outcome.plan.tools.len(), 4, "{:?}", outcome.plan.rejected);
    outcome.plan.notes.iter().chain(&outcome.rendered.notes).map(|note| note.reason).collect()
}

#[test]
fn what_holmesgpt_does_not_support_is_reported_only_where_its_file_is_written() {
    let bases = [
        Base::Missing("the ConfigMap does not exist"),
        Base::Text("not: [yaml"),
        Base::Text("toolsets: {a.b: {enabled: true}, c: null}"),
        Base::Text("toolsets: {prometheus/metrics: {enabled: false}}"),
    ];
    for base in bases {
        assert_eq!(reasons(&json!(["ToolsetJSON"]), base), BTreeSet::new(), "{base:?}");
        for formats in [json!(["HolmesGPT"]), json!(["ToolsetJSON", "HolmesGPT"])] {
            let expected = BTreeSet::from([
                Reason::BaseInvalid,
                Reason::CredentialsUnsupported,
                Reason::OverrideUnmatched,
                Reason::SettingUnsupported,
            ]);
            assert_eq!(reasons(&formats, base), expected, "{base:?}");
        }
    }
}
