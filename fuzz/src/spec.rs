//! A ToolsetConfig from bytes. The API server would accept it, except that texts can hold what its rules refuse, because
//! an object that was stored under older rules can hold it too.

use crd_types::ToolsetConfig;
use serde_json::{Map, Value, json};

use crate::{input::Input, words, world};

const TYPES: &[&str] = &[
    "Prometheus",
    "Grafana",
    "Loki",
    "Jaeger",
    "Elasticsearch",
    "Alertmanager",
    "Tempo",
    "MCP",
    "Thanos",
    "Kibana",
    "OpenSearch",
    "Zipkin",
    "VictoriaMetrics",
    "VictoriaLogs",
    "VictoriaTraces",
    "Mimir",
];
const NAMES: &[&str] = &["main", "a", "grafana", "prometheus", "kubernetes", "x_y", "null", "1e3", "http"];
const PATHS: &[&str] = &["/", "/base", "/select/0/prometheus", "/a/../b", "//x", "/api/v1", "/x/"];
/// The variables of the agent that credentials name.
pub const VARIABLES: &[&str] = &["TOKEN_A", "TOKEN_B", "USER_C"];

/// What a spec may contain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// Whether the texts for the model can hold anything.
    pub odd_texts: bool,
    /// Whether there is a base file.
    pub base: bool,
    /// Whether only the file for HolmesGPT is written.
    pub holmesgpt_only: bool,
}

/// A ToolsetConfig. `None` only if this module and the types differ.
pub fn config(input: &mut Input<'_>, parts: Parts) -> Option<ToolsetConfig> {
    let mut spec = Map::new();
    spec.insert("sources".to_owned(), sources(input));
    let formats = if parts.holmesgpt_only {
        json!(["HolmesGPT"])
    } else {
        input.one_of(&[0, 0, 0, 1, 2, 3]).map_or(json!(["HolmesGPT"]), |which| {
            json!(
                [["HolmesGPT", "ToolsetJSON"].as_slice(), &["HolmesGPT"], &["Environment"], &["GrafanaDatasources"]]
                    [which]
            )
        })
    };
    let mut output = json!({"formats": formats});
    if parts.base {
        output["base"] = json!({"configMapName": "own-toolsets"});
    }
    spec.insert("output".to_owned(), output);
    spec.insert("overrides".to_owned(), overrides(input, parts));
    spec.insert("tools".to_owned(), tools(input, parts));
    spec.insert("signatures".to_owned(), signatures(input, parts));
    spec.insert("detectors".to_owned(), detectors(input));
    spec.insert("evidence".to_owned(), json!({"pods": state(input), "identity": input.word(&["Disabled", "Probe"])}));
    spec.insert(
        "health".to_owned(),
        json!({"mode": input.word(&["Endpoints", "None", "Probe"]), "effect": input.word(&["Withhold", "Report"]), "withholdAfterSeconds": input.up_to(9_u8)}),
    );
    if input.one_in(4) {
        spec.insert("baseline".to_owned(), json!([{"name": input.word(&["kubernetes/core", "internet", "prometheus/metrics"]), "state": state(input)}]));
    }
    config_of(&Value::Object(spec))
}

/// A ToolsetConfig with this spec.
pub fn config_of(spec: &Value) -> Option<ToolsetConfig> {
    let config = json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1",
        "kind": "ToolsetConfig",
        "metadata": {"name": "default", "namespace": "holmes", "uid": "u", "generation": 1},
        "spec": spec,
    });
    serde_json::from_value(config).ok()
}

/// Two sources: the platform's namespaces, and all others, which belong to tenants.
fn sources(input: &mut Input<'_>) -> Value {
    let mut trusted =
        json!({"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": words::TRUSTED}});
    let mut tenant = json!({"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}});
    if input.one_in(6) {
        trusted["serviceSelector"] = selector(input);
    }
    if input.one_in(6) {
        tenant["serviceSelector"] = selector(input);
    }
    if input.one_in(6) {
        let kind = input.word(&["ExternalName", "Selectorless", "ManualSlices", "ExternalIPs"]);
        trusted["allow"] =
            json!([{"namespace": input.word(words::TRUSTED), "name": input.word(words::SERVICES), "kind": kind}]);
    }
    json!([trusted, tenant])
}

/// A label selector, also one that the API server refuses.
pub fn selector(input: &mut Input<'_>) -> Value {
    let expressions = input.several(3, |input| {
        let operator = input.word(&["In", "NotIn", "Exists", "DoesNotExist", "Near"]);
        let values = input.several(2, |input| input.word(words::LABEL_VALUES));
        json!({"key": input.word(words::LABEL_KEYS), "operator": operator, "values": values})
    });
    json!({"matchLabels": world::labels(input), "matchExpressions": expressions})
}

fn state(input: &mut Input<'_>) -> &'static str {
    input.word(&["Enabled", "Disabled"])
}

fn text(input: &mut Input<'_>, parts: Parts) -> String {
    if parts.odd_texts { input.text(words::TEXTS, 12) } else { input.word(&["Words", "More: words", "yes"]).to_owned() }
}

fn credentials(input: &mut Input<'_>) -> Value {
    let env = input.word(VARIABLES);
    match input.up_to(3_u8) {
        0 => json!({"type": "Bearer", "env": env}),
        1 => json!({"type": "ApiKey", "env": env}),
        2 => json!({"type": "Basic", "env": env, "usernameEnv": "USER_C"}),
        _ => json!({"type": "Header", "env": env, "header": input.word(&["X-Token", "Authorization"])}),
    }
}

fn settings(input: &mut Input<'_>) -> Value {
    let mut settings = json!({});
    if input.any() {
        settings["timeoutSeconds"] = json!(1 + input.up_to(299_u16));
    }
    if input.any() {
        settings["verifyTLS"] = json!(state(input));
    }
    if input.one_in(3) {
        settings["paths"] = json!([input.word(&["/api/*", "/x", "/*"])]);
    }
    if input.one_in(3) {
        settings["index"] = json!("logs-*");
    }
    settings
}

fn type_of(input: &mut Input<'_>, target: &mut Value) {
    if input.one_in(4) {
        target["type"] = json!("Custom");
        target["customType"] = json!(input.word(&["thing", "vector-database", "null"]));
    } else {
        target["type"] = json!(input.word(TYPES));
    }
}

/// `spec.overrides`.
pub fn overrides(input: &mut Input<'_>, parts: Parts) -> Value {
    let mut number = 0;
    Value::Array(input.several(4, |input| {
        number += 1;
        let mut matched = json!({});
        if input.any() {
            let namespaces = if input.any() { words::TRUSTED } else { words::TENANTS };
            matched["namespace"] = json!(input.word(namespaces));
        }
        if input.any() {
            matched["service"] = json!(input.word(words::SERVICES));
        }
        if input.one_in(3) {
            type_of(input, &mut matched);
        }
        let mut one = json!({"name": format!("o{number}"), "match": matched});
        if input.one_in(3) {
            one["state"] = json!(state(input));
        }
        if input.one_in(2) {
            one["description"] = json!(text(input, parts));
        }
        if input.one_in(2) {
            one["instructions"] = json!(text(input, parts));
        }
        if input.one_in(3) {
            one["toolName"] = json!(input.word(NAMES));
        }
        if input.one_in(3) {
            one["credentials"] = credentials(input);
        }
        if input.one_in(3) {
            one["tenantID"] = json!("tenant|1");
        }
        if input.one_in(3) {
            one["settings"] = settings(input);
        }
        if input.one_in(3) {
            let mut endpoint = json!({});
            if input.any() {
                endpoint["path"] = json!(input.word(PATHS));
            }
            if input.any() {
                endpoint["scheme"] = json!(input.word(&["http", "https"]));
            }
            if input.any() {
                endpoint["port"] =
                    if input.any() { json!(world::port_number(input)) } else { json!(input.word(words::PORTS)) };
            }
            one["endpoint"] = endpoint;
        }
        one
    }))
}

fn tools(input: &mut Input<'_>, parts: Parts) -> Value {
    let most = if parts.odd_texts { 3 } else { 2 };
    let mut names = Vec::new();
    let tools = input.several(most, |input| {
        let name = input.word(NAMES);
        if names.contains(&name) {
            return None;
        }
        names.push(name);
        let endpoint = input.word(&["http://outside.example/", "https://10.1.2.3:9090/base", "http://h.example:8080"]);
        let mut tool = json!({"name": name, "endpoint": endpoint});
        type_of(input, &mut tool);
        if input.any() {
            tool["description"] = json!(text(input, parts));
        }
        if input.any() {
            tool["instructions"] = json!(text(input, parts));
        }
        if input.one_in(3) {
            tool["credentials"] = credentials(input);
        }
        if input.one_in(3) {
            tool["settings"] = settings(input);
        }
        Some(tool)
    });
    Value::Array(tools.into_iter().flatten().collect())
}

fn signatures(input: &mut Input<'_>, parts: Parts) -> Value {
    let mut number = 0;
    Value::Array(input.several(2, |input| {
        number += 1;
        let mut one = json!({"name": format!("s{number}"), "selector": selector(input)});
        type_of(input, &mut one);
        if input.any() {
            one["port"] = if input.any() { json!(world::port_number(input)) } else { json!(input.word(words::PORTS)) };
        }
        if input.one_in(3) {
            one["path"] = json!(input.word(PATHS));
        }
        if input.one_in(3) {
            one["healthPath"] = json!("/healthz");
        }
        if one["type"] == "Custom" && input.any() {
            one["instructions"] = json!(text(input, parts));
        }
        one
    }))
}

fn detectors(input: &mut Input<'_>) -> Value {
    let mut seen = Vec::new();
    let all = input.several(3, |input| {
        let type_ = input.word(TYPES);
        if seen.contains(&type_) {
            return None;
        }
        seen.push(type_);
        Some(json!({
            "type": type_,
            "state": state(input),
            "minConfidence": input.word(&["Medium", "Low", "High"]),
            "instances": input.word(&["All", "Single"]),
        }))
    });
    Value::Array(all.into_iter().flatten().collect())
}
