use crd_types::{Credentials, CredentialsType, Trust};
use detectors::Product;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{fixtures, plan::names};

fn tool(product: Product, name: &str) -> Tool {
    fixtures::tool(product, "obs", name)
}

fn file(tools: &[Tool], baseline: &[Baseline], base: Option<&str>) -> (Value, HolmesFile) {
    let mut tools = tools.to_vec();
    names::assign(&mut tools);
    let base = base.map(|text| base::parse(text).unwrap());
    let file = render(&HolmesInput {
        tools: &tools,
        baseline,
        base: base.as_ref(),
        revision_entry: State::Disabled,
        is_followed: true,
    });
    (serde_saphyr::from_str(&file.text).unwrap(), file)
}

fn rendered(tools: &[Tool]) -> Value {
    file(tools, &[], None).0
}

fn baseline(name: &str, state: State) -> Baseline {
    Baseline { name: name.to_owned(), state }
}

fn credentials(type_: CredentialsType) -> Credentials {
    let username_env = (type_ == CredentialsType::Basic).then(|| "USER".to_owned());
    let header = (type_ == CredentialsType::Header).then(|| "X-Auth".to_owned());
    Credentials { type_, env: "SECRET".to_owned(), username_env, header }
}

#[test]
fn with_nothing_discovered_the_file_still_holds_the_baseline() {
    let (value, file) = file(&[], &[], None);
    assert_eq!(value, json!({"toolsets": {"kubernetes/core": {"enabled": true}}}));
    assert_eq!(file.entries, BTreeSet::from(["kubernetes/core".to_owned()]));
}

#[test]
fn several_instances_of_the_same_api_are_one_entry_in_ranked_order() {
    let mut main = tool(Product::Prometheus, "prometheus");
    main.chosen_name = Some("main".to_owned());
    let value = rendered(&[main, tool(Product::Prometheus, "other"), tool(Product::Thanos, "thanos-query")]);
    assert_eq!(
        value["toolsets"]["prometheus/metrics"],
        json!({"enabled": true, "config": {"instances": [
            {"name": "main", "prometheus_url": "http://prometheus.obs.svc.cluster.local:80"},
            {"name": "obs/other", "prometheus_url": "http://other.obs.svc.cluster.local:80"},
            {"name": "obs/thanos-query", "prometheus_url": "http://thanos-query.obs.svc.cluster.local:80"},
        ]}})
    );
}

#[test]
fn one_of_several_instances_cannot_use_up_the_time_of_its_siblings() {
    let value = rendered(&[tool(Product::Loki, "a"), tool(Product::Loki, "b"), tool(Product::Tempo, "a")]);
    for instance in value["toolsets"]["grafana/loki"]["config"]["instances"].as_array().unwrap() {
        let seconds = instance["timeout_seconds"].as_i64().unwrap() * instance["max_retries"].as_i64().unwrap();
        assert!(2 * seconds < 20, "{instance}");
    }
    let alone = &value["toolsets"]["grafana/tempo"]["config"]["instances"][0];
    assert_eq!(alone.get("timeout_seconds"), None);
}

#[test]
fn elasticsearch_is_two_toolsets_over_the_same_instances() {
    let value = rendered(&[tool(Product::Elasticsearch, "es"), tool(Product::OpenSearch, "os")]);
    let toolsets = value["toolsets"].as_object().unwrap();
    assert_eq!(toolsets["elasticsearch/data"]["config"], toolsets["elasticsearch/cluster"]["config"]);
    assert_eq!(toolsets["elasticsearch/data"]["config"]["instances"].as_array().unwrap().len(), 2);
}

#[test]
fn what_has_no_toolset_is_an_entry_of_type_http_with_get_only() {
    let value = rendered(&[tool(Product::Jaeger, "jaeger-query")]);
    let entry = &value["toolsets"]["jaeger-obs-jaeger-query"];
    let url = "http://jaeger-query.obs.svc.cluster.local:80";
    assert_eq!(
        entry["config"],
        json!({"endpoints": [{
            "hosts": [url], "paths": ["/api/*"], "methods": ["GET"], "health_check_url": format!("{url}/api/services"),
        }]})
    );
    assert_eq!(entry["type"], "http");
    assert_eq!(entry["enabled"], true);
    assert!(entry["llm_instructions"].as_str().unwrap().contains("jaeger_obs_jaeger_query_request"));
}

#[test]
fn paths_and_checks_are_below_the_endpoints_own_path() {
    let mut jaeger = tool(Product::Jaeger, "tracing");
    jaeger.endpoint.path = "/jaeger".to_owned();
    jaeger.settings.paths = vec!["/api/traces".to_owned(), "/jaeger/api/services".to_owned()];
    jaeger.health_path = Some("/healthz".to_owned());
    let value = rendered(&[jaeger]);
    let call = &value["toolsets"]["jaeger-obs-tracing"]["config"]["endpoints"][0];
    assert_eq!(call["paths"], json!(["/jaeger/api/traces", "/jaeger/api/services"]));
    assert_eq!(call["health_check_url"], "http://tracing.obs.svc.cluster.local:80/healthz");
}

#[test]
fn victoriatraces_is_called_where_its_jaeger_api_stands_whether_or_not_the_endpoint_says_so() {
    for path in ["", "/select/jaeger"] {
        let mut traces = tool(Product::VictoriaTraces, "vt");
        traces.endpoint.path = path.to_owned();
        let value = rendered(&[traces]);
        let call = &value["toolsets"]["victoriatraces-obs-vt"]["config"]["endpoints"][0];
        assert_eq!(call["paths"], json!(["/select/jaeger/api/*"]));
        assert_eq!(call["health_check_url"], "http://vt.obs.svc.cluster.local:80/select/jaeger/api/services");
    }
}

#[test]
fn an_mcp_server_stands_under_mcp_servers_with_the_transport_that_its_path_shows() {
    let (mut sse, mut http) = (tool(Product::MCP, "old"), tool(Product::MCP, "new"));
    (sse.endpoint.path, http.endpoint.path) = ("/sse".to_owned(), "/mcp".to_owned());
    let value = rendered(&[sse, http]);
    assert_eq!(value["mcp_servers"]["mcp-obs-old"]["config"]["mode"], "sse");
    assert_eq!(
        value["mcp_servers"]["mcp-obs-new"]["config"],
        json!({"mode": "streamable-http", "url": "http://new.obs.svc.cluster.local:80/mcp"})
    );
}

#[test]
fn credentials_and_tenant_stand_in_the_fields_of_their_toolset_as_placeholders() {
    let with = |product, type_| {
        let mut tool = tool(product, "svc");
        (tool.credentials, tool.tenant_id) = (Some(credentials(type_)), Some("1".to_owned()));
        let value = rendered(&[tool]);
        let servers = value.get("mcp_servers").and_then(Value::as_object).into_iter().flatten();
        let toolsets = value["toolsets"].as_object().unwrap().iter().filter(|(name, _)| *name != CORE);
        let mut config = toolsets.chain(servers).next().unwrap().1["config"].clone();
        if let Some(instance) = config.pointer("/instances/0") {
            config = instance.clone();
        }
        config
    };
    let secret = "{{ env.SECRET }}";
    let metrics = with(Product::Mimir, CredentialsType::Bearer);
    assert_eq!(
        metrics["additional_headers"],
        json!({"Authorization": format!("Bearer {secret}"), "X-Scope-OrgID": "1"})
    );
    let loki = with(Product::Loki, CredentialsType::Header);
    assert_eq!(loki["additional_headers"], json!({"X-Auth": secret, "X-Scope-OrgID": "1"}));
    let grafana = with(Product::Grafana, CredentialsType::ApiKey);
    assert_eq!(grafana["api_key"], secret);
    let elastic = with(Product::Elasticsearch, CredentialsType::Basic);
    assert_eq!((&elastic["username"], &elastic["password"]), (&json!("{{ env.USER }}"), &json!(secret)));
    assert_eq!(elastic.get("additional_headers"), None);
    let logs = with(Product::VictoriaLogs, CredentialsType::Bearer);
    assert_eq!(logs["bearer_token"], secret);
    let jaeger = with(Product::Jaeger, CredentialsType::Bearer);
    assert_eq!(jaeger["endpoints"][0]["auth"], json!({"type": "bearer", "token": secret}));
    assert_eq!(jaeger["default_headers"], json!({"X-Scope-OrgID": "1"}));
    let mcp = with(Product::MCP, CredentialsType::Bearer);
    assert_eq!(mcp["headers"], json!({"Authorization": format!("Bearer {secret}")}));
}

#[test]
fn credentials_that_the_toolset_has_no_field_for_are_not_written_elsewhere() {
    let mut elastic = tool(Product::Elasticsearch, "es");
    elastic.credentials = Some(credentials(CredentialsType::Header));
    let (_, file) = file(&[elastic], &[], None);
    assert!(!file.text.contains("SECRET"), "{}", file.text);
}

#[test]
fn whatever_a_tenant_provides_is_type_http_and_says_so() {
    for product in Product::ALL {
        let mut tool = tool(*product, "svc");
        (tool.trust, tool.custom) = (Trust::Tenant, (*product == Product::Custom).then(|| "thing".to_owned()));
        (tool.description, tool.instructions) = (Some("mine".to_owned()), Some("mine".to_owned()));
        tool.health_path = Some("/healthz".to_owned());
        let value = rendered(&[tool]);
        assert_eq!(value.get("mcp_servers"), None);
        let entries: Vec<&Value> = value["toolsets"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != CORE)
            .map(|(_, entry)| entry)
            .collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["type"], "http", "{product}");
        let call = &entries[0]["config"]["endpoints"][0];
        assert_eq!(call["methods"], json!(["GET"]));
        // The answer of a failed check would reach the agent's prompt.
        assert_eq!(call.get("health_check_url"), None, "{product}");
        for field in ["description", "llm_instructions"] {
            assert!(entries[0][field].as_str().unwrap().starts_with("Tenant-provided"), "{product}");
        }
    }
}

#[test]
fn what_the_user_says_of_instances_is_the_description_of_their_entry() {
    let (mut a, b) = (tool(Product::Loki, "a"), tool(Product::Loki, "b"));
    a.description = Some("Cluster logs".to_owned());
    assert_eq!(rendered(&[a.clone()])["toolsets"]["grafana/loki"]["description"], "Cluster logs");
    assert_eq!(rendered(&[a, b])["toolsets"]["grafana/loki"]["description"], "obs/a: Cluster logs");
}

#[test]
fn the_baseline_is_merged_over_kubernetes_core_and_the_users_file() {
    let own = "toolsets: {kubernetes/core: {enabled: false, description: d}, internet: {enabled: true}}";
    let (value, _) = file(&[], &[baseline("internet", State::Disabled)], Some(own));
    assert_eq!(
        value["toolsets"],
        json!({"kubernetes/core": {"enabled": false, "description": "d"}, "internet": {"enabled": false}})
    );
    let (value, _) = file(&[], &[baseline("kubernetes/core", State::Disabled)], None);
    assert_eq!(value["toolsets"], json!({"kubernetes/core": {"enabled": false}}));
}

#[test]
fn a_baseline_that_the_agent_does_not_have_is_left_out_and_said() {
    let (value, file) = file(&[], &[baseline("kubernetes/cores", State::Enabled)], None);
    assert_eq!(value["toolsets"], json!({"kubernetes/core": {"enabled": true}}));
    assert_eq!(file.notes.len(), 1);
    assert!(file.notes[0].message.contains("kubernetes/cores"));
}

#[test]
fn nothing_of_the_users_own_is_lost_under_what_was_discovered() {
    let own = "toolsets:\n  prometheus/metrics: {enabled: true, config: {prometheus_url: 'https://saas', headers: {A: b}}}\n  datadog/logs: {enabled: true, config: {api_key: '{{ env.DD }}'}}\nmcp_servers:\n  github: {config: {url: 'http://x/mcp'}}\n";
    let (value, file) = file(&[tool(Product::Prometheus, "p"), tool(Product::MCP, "m")], &[], Some(own));
    let instances = value["toolsets"]["prometheus/metrics"]["config"]["instances"].as_array().unwrap();
    assert_eq!(instances[0]["name"], "obs/p");
    assert_eq!(instances[1], json!({"name": "default", "prometheus_url": "https://saas", "headers": {"A": "b"}}));
    assert_eq!(value["toolsets"]["datadog/logs"]["config"]["api_key"], "{{ env.DD }}");
    assert_eq!(value["mcp_servers"].as_object().unwrap().len(), 2);
    assert_eq!(file.notes, []);
    let ours = ["kubernetes/core", "mcp-obs-m", "prometheus/metrics"].map(str::to_owned);
    assert_eq!(file.entries, BTreeSet::from(ours));
}

#[test]
fn instances_never_share_a_name_with_the_users_own() {
    let own = "toolsets: {grafana/loki: {enabled: true, config: {instances: [{name: main, api_url: a}, {name: main, api_url: b}]}}}";
    let mut loki = tool(Product::Loki, "loki");
    loki.chosen_name = Some("main".to_owned());
    let (value, _) = file(&[loki], &[], Some(own));
    let instances = value["toolsets"]["grafana/loki"]["config"]["instances"].as_array().unwrap();
    let names: Vec<&str> = instances.iter().filter_map(|instance| instance["name"].as_str()).collect();
    assert_eq!(names, ["main", "main-2", "main-3"]);
}

#[test]
fn an_unreadable_variable_header_or_text_is_left_out_and_said() {
    let mut jaeger = tool(Product::Jaeger, "j");
    jaeger.credentials = Some(Credentials {
        type_: CredentialsType::Header,
        env: "TOKEN".to_owned(),
        username_env: None,
        header: Some("X.Dot".to_owned()),
    });
    (jaeger.description, jaeger.instructions) = (Some("{{ env.TOKEN }}".to_owned()), Some("${TOKEN}".to_owned()));
    let (_, file) = file(&[jaeger], &[], None);
    assert_eq!(file.notes.len(), 3);
    for never in ["X.Dot", "env.TOKEN", "${"] {
        assert!(!file.text.contains(never), "{never}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[ \\t\\n:#'\"{}\\[\\],&*!|>%@`$~?-]{0,12}",
        prop::sample::select(vec![
            "yes",
            "on",
            "12:30:45",
            "1_000",
            "0o7",
            "2024-01-01",
            "~",
            "null",
            "=",
            "<<",
            "1e3",
            ".inf",
            "0x1F"
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_tool() -> impl Strategy<Value = Tool> {
    let texts = (
        prop::option::of(any_text()),
        prop::option::of(any_text()),
        prop::option::of(any_text()),
        prop::option::of(any_text()),
    );
    let product = prop::sample::select(Product::ALL);
    let credentials = prop::option::of((prop::sample::select(CredentialsType::ALL), any_text(), any_text()));
    (product, any::<bool>(), any::<bool>(), "[a-z]{1,3}", texts, credentials).prop_map(
        |(product, tenant, outside, name, (chosen_name, description, instructions, tenant_id), credentials)| {
            let mut tool = fixtures::tool(product, "ns", &name);
            tool.trust = if tenant { Trust::Tenant } else { Trust::Trusted };
            if outside && !tenant {
                (tool.key, tool.name) = (None, name);
            }
            (tool.description, tool.instructions, tool.tenant_id) = (description, instructions, tenant_id);
            tool.custom = (product == Product::Custom).then(|| "thing".to_owned());
            tool.chosen_name = chosen_name;
            tool.credentials = credentials.map(|(type_, env, other)| Credentials {
                type_,
                env,
                username_env: Some(other.clone()),
                header: Some(other),
            });
            tool
        },
    )
}

/// What the agent's loader refuses a whole file for: a null under a section, an entry that is null, a key with a dot.
fn assert_loads(value: &Value) {
    fn no_bad_key(value: &Value) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                assert!(!key.contains('.') && !key.is_empty(), "{key:?}");
                no_bad_key(value);
            }),
            Value::Array(values) => values.iter().for_each(no_bad_key),
            _ => {}
        }
    }
    no_bad_key(value);
    let sections = value.as_object().unwrap();
    assert!(!sections.is_empty());
    for (section, entries) in sections {
        assert!(["toolsets", "mcp_servers"].contains(&section.as_str()));
        let entries = entries.as_object().unwrap();
        assert!(!entries.is_empty(), "{section}");
        for (name, entry) in entries {
            assert!(entry.is_object(), "{name}");
        }
    }
}

fn keys_of_entries(value: &Value) -> impl Iterator<Item = (&String, &serde_json::Map<String, Value>)> {
    let sections = value.as_object().unwrap().values().filter_map(Value::as_object);
    sections.flat_map(|entries| entries.iter().filter_map(|(name, entry)| Some((name, entry.as_object()?))))
}

proptest! {
    #[test]
    fn no_input_makes_a_file_that_the_agent_refuses(
        tools in prop::collection::vec(any_tool(), 0..8),
        names in prop::collection::vec((any_text(), any::<bool>()), 0..4),
    ) {
        let mut tools = tools;
        tools.sort_by(|a, b| (a.product, &a.key).cmp(&(b.product, &b.key)));
        tools.dedup_by(|a, b| a.key == b.key && a.key.is_some());
        let baseline: Vec<Baseline> = names.into_iter()
            .map(|(name, on)| Baseline { name, state: if on { State::Enabled } else { State::Disabled } }).collect();
        let (value, file) = file(&tools, &baseline, None);
        assert_loads(&value);
        for (name, entry) in keys_of_entries(&value) {
            prop_assert!(entry["enabled"].is_boolean(), "{}", name);
            for never in ["command", "script", "tools", "prerequisites", "transformers"] {
                prop_assert!(!entry.contains_key(never), "{} {}", name, never);
            }
        }
        for opener in file.text.match_indices("{{") {
            prop_assert!(file.text[opener.0..].starts_with("{{ env."), "{}", file.text);
        }
        let expands = ["{%", "${"].iter().any(|opener| file.text.contains(opener));
        prop_assert!(!expands, "{}", file.text);
    }

    #[test]
    fn no_base_file_makes_a_file_that_the_agent_refuses(
        text in prop_oneof![
            ".{0,60}",
            "(toolsets|mcp_servers): ?(\\{[ab.]: (null|\\{[a.]: [1~]\\}|\\[\\])\\}|null|\\[\\]|[ab.]+|)\n?(mcp_servers: \\{a: \\{\\}\\})?",
        ],
    ) {
        let base = base::parse(&text).ok();
        let file = render(&HolmesInput { tools: &[], baseline: &[], base: base.as_ref(), revision_entry: State::Enabled, is_followed: true });
        assert_loads(&serde_saphyr::from_str(&file.text).unwrap());
    }

    #[test]
    fn texts_are_read_back_as_they_were_written(text in any_text()) {
        let mut jaeger = tool(Product::Jaeger, "j");
        jaeger.instructions = Some(text.clone());
        let (value, file) = file(&[jaeger], &[], None);
        let said = value["toolsets"]["jaeger-obs-j"]["llm_instructions"].as_str().unwrap();
        prop_assert!(!file.notes.is_empty() || said.ends_with(&text), "{:?} in {}", text, file.text);
    }
}

#[test]
fn entries_of_their_own_are_written_in_the_same_order_whatever_the_order_of_the_tools() {
    let tools: Vec<Tool> = Product::ALL
        .iter()
        .filter(|product| Toolset::of(**product, Trust::Trusted).has_own_entries())
        .flat_map(|product| ["a", "b"].map(|name| tool(*product, name)))
        .collect();
    let reversed: Vec<Tool> = tools.iter().rev().cloned().collect();
    assert!(tools.len() > 6);
    assert_eq!(file(&tools, &[], None).1.text, file(&reversed, &[], None).1.text);
}

#[test]
fn a_tenants_entry_allows_only_the_query_paths_of_its_product() {
    let paths = |tool: &Tool| {
        let value = rendered(std::slice::from_ref(tool));
        let entries = value["toolsets"].as_object().unwrap();
        let entry = entries.values().find(|entry| entry["type"] == "http").unwrap();
        assert!(entry["config"]["endpoints"][0].get("health_check_url").is_none(), "{entry}");
        serde_json::from_value::<Vec<String>>(entry["config"]["endpoints"][0]["paths"].clone()).unwrap()
    };
    for product in Product::ALL {
        let mut tenants = tool(*product, "t");
        (tenants.trust, tenants.endpoint.path) = (Trust::Tenant, "/at".to_owned());
        tenants.health_path = Some("/anything".to_owned());
        let api = http_api::of(*product);
        let expected: Vec<String> = api.paths.iter().map(|path| format!("{}{path}", api.root("/at"))).collect();
        assert_eq!(paths(&tenants), expected, "{product}");
        tenants.settings.paths = vec!["/*".to_owned(), "/admin".to_owned()];
        assert_eq!(paths(&tenants), expected, "{product}");
    }
}

#[test]
fn elasticsearch_has_instructions_unless_the_user_wrote_some() {
    let text = |base| {
        let (value, _) = file(&[tool(Product::Elasticsearch, "es")], &[], base);
        let of = |name: &str| value["toolsets"][name]["llm_instructions"].as_str().map(str::to_owned);
        assert_eq!(of("elasticsearch/cluster"), None);
        of("elasticsearch/data").unwrap()
    };
    assert!(text(None).contains("elasticsearch_list_indices"), "{}", text(None));
    assert_eq!(text(Some("toolsets:\n  elasticsearch/data: {llm_instructions: mine}\n")), "mine");
}

#[test]
fn a_file_that_is_read_back_has_the_same_entries_of_ours_as_when_it_was_written() {
    let shared = "toolsets:\n  prometheus/metrics: {enabled: true, config: {prometheus_url: 'https://saas'}}\n  \
                  mine: {type: http, config: {a: 1e3, b: 0o17, c: 1:30, d: .nan, e: 2024-01-01, f: !!binary aGk=, \
                  g: 99999999999999999999999999999999999999999, h: \"x\\ty\", i: [~, yes, 08], j: -.inf, k: 1_000}}\n  \
                  off: {enabled: false}\nmcp_servers:\n  github: {config: {url: 'http://x/mcp'}}\n";
    let all = [tool(Product::Prometheus, "p"), tool(Product::Jaeger, "j"), tool(Product::MCP, "m")];
    let written = |tools: &[Tool], baseline: &[Baseline], base: Option<&str>| {
        let mut tools = tools.to_vec();
        names::assign(&mut tools);
        let base = base.map(|text| base::parse(text).unwrap());
        render(&HolmesInput {
            tools: &tools,
            baseline,
            base: base.as_ref(),
            revision_entry: State::Enabled,
            is_followed: true,
        })
    };
    let core = baseline("kubernetes/core", State::Enabled);
    let off = baseline("kubernetes/core", State::Disabled);
    let bases = [None, Some(shared), Some("toolsets: {kubernetes/core: {enabled: true}}"), Some("toolsets: {}")];
    for base in bases {
        for count in 0..=all.len() {
            for baseline in [&[][..], std::slice::from_ref(&core), std::slice::from_ref(&off)] {
                let file = written(&all[..count], baseline, base);
                let read = AgentFile::read_back(&file.text, base).unwrap();
                assert_eq!(read.entries, file.entries, "{}", file.text);
            }
        }
    }
    let file = written(&all, &[], Some(shared));
    assert!(file.entries.contains("prometheus/metrics"), "instances were added to the user's entry");
    assert!(["mine", "github", "off"].iter().all(|name| !file.entries.contains(*name)), "{:?}", file.entries);
}
