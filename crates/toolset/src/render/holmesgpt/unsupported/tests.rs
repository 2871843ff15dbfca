use std::collections::BTreeSet;

use crd_types::{CredentialsType, State};
use serde_json::json;

use super::*;
use crate::{
    DEFAULT_CLUSTER_DOMAIN, HealthStage, Index,
    fixtures::{config, index, prometheus, slice},
    pipeline::{self, HealthInput},
    tool::Tool,
};

fn tool(product: Product) -> Tool {
    crate::fixtures::tool(product, "ns", "svc")
}

/// What there is to say of a tool if `origin` asks for all that it has.
fn note_unsupported(tool: &Tool, origin: &str) -> Vec<Note> {
    let asked = Asked {
        credentials: tool.credentials.as_ref(),
        tenant_id: tool.tenant_id.as_deref(),
        settings: Some(&tool.settings),
        instructions: tool.instructions.as_deref(),
    };
    unsupported(asked, tool.product, &tool.origin_in_words(), origin)
}

fn with_credentials(product: Product, type_: CredentialsType) -> Tool {
    let username_env = (type_ == CredentialsType::Basic).then(|| "USER".to_owned());
    let header = (type_ == CredentialsType::Header).then(|| "X-Auth".to_owned());
    Tool { credentials: Some(Credentials { type_, env: "SECRET".to_owned(), username_env, header }), ..tool(product) }
}

/// The table of the agent's fields: a row per toolset, B(earer), U(ser and password), A(piKey), H(eader), T(enant).
#[test]
fn each_toolset_takes_the_credentials_that_it_has_fields_for() {
    for (product, expected) in [
        (Product::Prometheus, "BHT"),
        (Product::Grafana, "BUAHT"),
        (Product::Loki, "BUAHT"),
        (Product::Tempo, "BUAHT"),
        (Product::Elasticsearch, "UA"),
        (Product::OpenSearch, "UA"),
        (Product::VictoriaLogs, "BUH"),
        (Product::Jaeger, "BUHT"),
        (Product::Custom, "BUHT"),
        (Product::MCP, "BH"),
    ] {
        let types = [
            (CredentialsType::Bearer, 'B'),
            (CredentialsType::Basic, 'U'),
            (CredentialsType::ApiKey, 'A'),
            (CredentialsType::Header, 'H'),
        ];
        let mut taken: String = types
            .into_iter()
            .filter(|(type_, _)| note_unsupported(&with_credentials(product, *type_), "override x").is_empty())
            .map(|(_, letter)| letter)
            .collect();
        let tenant = Tool { tenant_id: Some("1".to_owned()), ..tool(product) };
        taken.extend(note_unsupported(&tenant, "override x").is_empty().then_some('T'));
        assert_eq!(taken, expected, "{product}");
    }
}

#[test]
fn what_is_left_out_is_said_with_where_it_came_from_and_what_to_use_instead() {
    let notes = note_unsupported(&with_credentials(Product::Elasticsearch, CredentialsType::Bearer), "override es");
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].reason, Reason::CredentialsUnsupported);
    for part in ["override es:", "Bearer", "ns/svc", "elasticsearch/data", "Basic and ApiKey"] {
        assert!(notes[0].message.contains(part), "{part}: {}", notes[0].message);
    }
}

#[test]
fn settings_that_a_toolset_has_no_field_for_are_said_one_by_one() {
    let settings = Settings {
        timeout_seconds: Some(5),
        verify_tls: Some(State::Disabled),
        paths: vec!["/x".to_owned()],
        ..Settings::default()
    };
    for (product, expected) in [
        (Product::Prometheus, vec!["settings.timeoutSeconds", "settings.paths", "instructions"]),
        (Product::Loki, vec!["settings.paths", "instructions"]),
        (Product::MCP, vec!["settings.timeoutSeconds", "settings.paths"]),
        (Product::Jaeger, vec![]),
    ] {
        let tool = Tool { settings: settings.clone(), instructions: Some("x".to_owned()), ..tool(product) };
        let notes = note_unsupported(&tool, "tool corp");
        assert!(notes.iter().all(|note| note.reason == Reason::SettingUnsupported));
        let fields: Vec<&str> = notes.iter().filter_map(|note| note.message.split(' ').nth(2)).collect();
        assert_eq!(fields, expected, "{product}");
    }
}

/// The messages of a run over one Prometheus, with an override for it that asks for a field that its toolset has not.
fn messages(formats: &serde_json::Value, index: &Index) -> Vec<String> {
    let config = config(json!({
        "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "overrides": [{"name": "o", "match": {"service": "p"}, "settings": {"timeoutSeconds": 5}}],
        "output": {"formats": formats},
    }));
    let outcome = pipeline::run(pipeline::Input {
        config: &config,
        cluster_domain: DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        remembered: None,
        health: HealthInput::Observed {
            stage: &mut HealthStage::default(),
            time: &|_| crate::health::HealthTime::default(),
            in_output: &BTreeSet::new,
            probed: None,
        },
        legacy_overrides: None,
        base: None,
        previous: None,
    });
    outcome.plan.notes.into_iter().chain(outcome.rendered.notes).map(|note| note.message).collect()
}

#[test]
fn what_the_agent_cannot_take_is_said_only_where_its_file_is_written() {
    let prometheus = prometheus("monitoring", "p");
    let mut ready = index([prometheus.clone()]);
    ready.apply_slice(slice(&prometheus, true));
    assert!(messages(&json!(["HolmesGPT"]), &ready)[0].starts_with("Override o: settings.timeoutSeconds is omitted"));
    assert_eq!(messages(&json!(["ToolsetJSON"]), &ready), [] as [&str; 0]);
}

#[test]
fn it_is_said_also_while_the_tool_waits_to_be_healthy() {
    let waiting = index([prometheus("monitoring", "p")]);
    assert_eq!(messages(&json!(["HolmesGPT"]), &waiting).len(), 1);
}

#[test]
fn everything_from_a_tenant_is_an_entry_of_type_http() {
    for product in Product::ALL {
        assert_eq!(Toolset::of(*product, Trust::Tenant), Toolset::Http, "{product}");
    }
}
