//! The user's own file: whatever is in it, the output can be read and holds the operator's own entries.

use serde_json::{Value, json};
use toolset::{Base, DEFAULT_CLUSTER_DOMAIN, Index, pipeline, render::HOLMESGPT_KEY};

use crate::{Broken, Outcome, checks, input::Input, spec, words, world};

/// Checks one file beside a few tools.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let types: Vec<&str> =
        input.several(3, |input| input.word(&["Prometheus", "Loki", "Jaeger", "MCP", "Elasticsearch"]));
    let tools: Vec<Value> = types
        .iter()
        .enumerate()
        .map(|(number, type_)| json!({"name": format!("t{number}"), "type": type_, "endpoint": format!("http://h{number}.example:80")}))
        .collect();
    let config = spec::config_of(&json!({
        "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "tools": tools,
        "output": {"formats": ["HolmesGPT"], "base": {"configMapName": "own"}},
    }));
    let config = config.ok_or_else(|| Broken("the spec is not valid".to_owned()))?;
    let base = if input.any() { file(&mut input) } else { input.rest() };
    let index = Index::default();
    let run = || {
        pipeline::run(pipeline::Input {
            config: &config,
            cluster_domain: DEFAULT_CLUSTER_DOMAIN,
            index: &index,
            admits: None,
            remembered: None,
            health: pipeline::HealthInput::Unobserved,
            legacy_overrides: None,
            base: Some(Base::Text(&base)),
            previous: None,
        })
    };
    let outcome = run();
    checks::output(&config, DEFAULT_CLUSTER_DOMAIN, &outcome.plan, &outcome.rendered, true)?;
    check!(outcome.rendered == run().rendered, "the output is another one the second time, with {base:?}");
    let text = outcome.rendered.data.get(HOLMESGPT_KEY).map(|text| &**text).unwrap_or_default();
    for tool in &outcome.plan.tools {
        check!(text.contains(&tool.endpoint.origin()), "{} is missing, with {base:?}: {text}", tool.name);
    }
    Ok(())
}

/// A file in the form of YAML, with values that a reader can take in several ways.
pub(super) fn file(input: &mut Input<'_>) -> String {
    let mut lines = Vec::new();
    for section in ["toolsets", "mcp_servers"] {
        if section == "toolsets" || input.one_in(4) {
            lines.push(format!("{section}:"));
            for _ in 0..input.up_to(3_u8) {
                let name = if input.one_in(6) { scalar(input) } else { input.word(NAMES).to_owned() };
                lines.push(format!("  {name}:"));
                for _ in 0..=input.up_to(2_u8) {
                    let field = if input.one_in(6) { scalar(input) } else { input.word(FIELDS).to_owned() };
                    lines.push(format!("    {field}: {}", value(input, 0)));
                }
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

const NAMES: &[&str] = &[
    "own",
    "prometheus/metrics",
    "grafana/loki",
    "t0",
    "t1",
    "jaeger",
    "kubernetes/core",
    "<<",
    "1",
    "yes",
    "a.b",
    "''",
    "elasticsearch/data",
    "\"x\"",
    "&n own2",
    "toolset-operator",
];
const FIELDS: &[&str] =
    &["enabled", "config", "url", "instances", "type", "<<", "description", "1", "prometheus_url", "name"];
const SCALARS: &[&str] = &[
    "true",
    "yes",
    "off",
    "on",
    "No",
    "y",
    "~",
    "null",
    "1",
    "010",
    "0o17",
    "0x1F",
    "1_000",
    "1e3",
    "1.5e+3",
    ".inf",
    ".nan",
    "-0.0",
    "1:30",
    "190:20:30.15",
    "2020-01-01",
    "2001-12-14 21:59:43.10 -5",
    "2020-13-45",
    "123456789012345678901234567890",
    "=",
    "<<",
    "'it''s'",
    "\"\\x41\\u263A\\L\\N\\e\"",
    "\"\\U0001F600\"",
    "|\n      a\n      b",
    ">-\n      a\n      b\n",
    "*a",
    "&a x",
    "&b 1",
    "*b",
    "!!str 1",
    "!!int '3'",
    "!!float 1",
    "!!binary aGVsbG8=",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!x y",
    "! 12",
    "!!null x",
    "http://a:80/x?y=1#z",
    "a#b",
    "a #b",
    "",
    "- a",
    "{{ env.X }}",
    "''",
    "!!timestamp 2020-1-1",
    "!!bool YeS",
];

fn scalar(input: &mut Input<'_>) -> String {
    match input.up_to(4_u8) {
        0 => input.text(words::TEXTS, 5),
        1 => serde_json::to_string(&input.text(words::TEXTS, 6)).unwrap_or_default(),
        2 => format!("'{}'", input.text(words::TEXTS, 5).replace('\'', "''")),
        _ => input.word(SCALARS).to_owned(),
    }
}

fn value(input: &mut Input<'_>, depth: u8) -> String {
    let anchor = input
        .sometimes(8, |input| input.word(&["&a ", "&c ", "!!seq ", "!!map ", "!!set ", "!!omap "]))
        .unwrap_or_default();
    match input.up_to(3_u8) {
        0 if depth < 4 => {
            let items = input.several(3, |input| value(input, depth + 1));
            format!("{anchor}[{}]", items.join(", "))
        }
        1 if depth < 4 => {
            let fields = input.several(3, |input| {
                let key = if input.any() { scalar(input) } else { input.word(FIELDS).to_owned() };
                format!("{key}: {}", value(input, depth + 1))
            });
            format!("{anchor}{{{}}}", fields.join(", "))
        }
        2 => world::port_number(input).to_string(),
        _ => scalar(input),
    }
}
