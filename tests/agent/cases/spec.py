"""The ToolsetConfig takes effect in the agent: credentials, tenants, settings, overrides, tools, baseline and base file."""

from backends import basic
from cluster import PRODUCTS, REVISION, TOOLSETS, annotated, config_map, product, toolset_config
from world import World

SECRET, USER = "s3cr3t-value", "reader"
ENV = {"TOOL_SECRET": SECRET, "TOOL_USER": USER}
TENANT = "team|1.a"

# The header that the agent must send, by type and by kind of credentials. The values follow the conventions of the products.
BEARER, API_KEY = f"Bearer {SECRET}", f"ApiKey {SECRET}"
BASIC = basic(USER, SECRET)
SENT = {
    "Prometheus": {"Bearer": ("Authorization", BEARER), "Header": ("X-Auth", SECRET)},
    "Thanos": {"Bearer": ("Authorization", BEARER), "Header": ("X-Auth", SECRET)},
    "Mimir": {"Bearer": ("Authorization", BEARER), "Header": ("X-Auth", SECRET)},
    "VictoriaMetrics": {"Bearer": ("Authorization", BEARER), "Header": ("X-Auth", SECRET)},
    "Grafana": {
        "Bearer": ("Authorization", BEARER),
        "Basic": ("Authorization", BASIC),
        "ApiKey": ("Authorization", BEARER),
        "Header": ("X-Auth", SECRET),
    },
    "Loki": {
        "Bearer": ("Authorization", BEARER),
        "Basic": ("Authorization", BASIC),
        "ApiKey": ("Authorization", BEARER),
        "Header": ("X-Auth", SECRET),
    },
    "Tempo": {
        "Bearer": ("Authorization", BEARER),
        "Basic": ("Authorization", BASIC),
        "ApiKey": ("Authorization", BEARER),
        "Header": ("X-Auth", SECRET),
    },
    "Elasticsearch": {"Basic": ("Authorization", BASIC), "ApiKey": ("Authorization", API_KEY)},
    "OpenSearch": {"Basic": ("Authorization", BASIC), "ApiKey": ("Authorization", API_KEY)},
    "VictoriaLogs": {
        "Bearer": ("Authorization", BEARER),
        "Basic": ("Authorization", BASIC),
        "Header": ("X-Auth", SECRET),
    },
    "Alertmanager": {
        "Bearer": ("Authorization", BEARER),
        "Basic": ("Authorization", BASIC),
        "Header": ("X-Auth", SECRET),
    },
    "Jaeger": {"Bearer": ("Authorization", BEARER), "Basic": ("Authorization", BASIC), "Header": ("X-Auth", SECRET)},
    "Zipkin": {"Bearer": ("Authorization", BEARER), "Basic": ("Authorization", BASIC), "Header": ("X-Auth", SECRET)},
    "VictoriaTraces": {
        "Bearer": ("Authorization", BEARER),
        "Basic": ("Authorization", BASIC),
        "Header": ("X-Auth", SECRET),
    },
    "Kibana": {"Bearer": ("Authorization", BEARER), "Basic": ("Authorization", BASIC), "Header": ("X-Auth", SECRET)},
    "MCP": {"Bearer": ("Authorization", BEARER), "Header": ("X-Auth", SECRET)},
    "custom-api": {
        "Bearer": ("Authorization", BEARER),
        "Basic": ("Authorization", BASIC),
        "Header": ("X-Auth", SECRET),
    },
}
CREDENTIALS = {
    "Bearer": {"type": "Bearer", "env": "TOOL_SECRET"},
    "Basic": {"type": "Basic", "env": "TOOL_SECRET", "usernameEnv": "TOOL_USER"},
    "ApiKey": {"type": "ApiKey", "env": "TOOL_SECRET"},
    "Header": {"type": "Header", "env": "TOOL_SECRET", "header": "X-Auth"},
}
NO_TENANT = {"Elasticsearch", "OpenSearch", "VictoriaLogs", "MCP"}


def override(of: dict, name: str, **fields: object) -> dict:
    match = {"namespace": of["metadata"]["namespace"], "service": of["metadata"]["name"]}
    return {"name": name, "match": match, **fields}


def a_service(world: World, type_: str, name: str) -> dict:
    if type_ == "MCP":
        return annotated(type_, "ns", name, world.backends.plain, path="/mcp")
    return (
        annotated(type_, "ns", name, health_path="/health") if type_ == "custom-api" else annotated(type_, "ns", name)
    )


def credentials_and_tenant_arrive_in_the_request(world: World) -> None:
    for kind, credentials in CREDENTIALS.items():
        services, overrides, expected = [], [], {}
        for type_, sent in SENT.items():
            if kind not in sent:
                continue
            one = a_service(world, type_, type_.lower())
            tenant = {} if type_ in NO_TENANT else {"tenantID": TENANT}
            services.append(one)
            overrides.append(override(one, type_.lower(), credentials=credentials, **tenant))
            authority = f"{type_.lower()}.ns.svc.cluster.local:{one['spec']['ports'][0]['port']}"
            headers = dict([sent[kind]], **({"X-Scope-OrgID": TENANT} if tenant else {}))
            expected[authority] = headers
            for header, value in headers.items():
                world.backends.require(authority, header, value)
        before = len(world.backends.requests)
        loaded = world.load([*services, toolset_config(overrides=overrides)], env=ENV).all_instances_answer()
        assert not loaded.notes.strip(), loaded.notes
        assert SECRET not in loaded.file
        for authority, headers in expected.items():
            requests = [one for one in world.backends.requests[before:] if one["authority"] == authority]
            assert requests, f"{authority} was never called"
            for header, value in headers.items():
                assert any(one["headers"].get(header.lower()) == value for one in requests), f"{authority}: no {header}"
        world.says(f"{kind}: arrived at {len(expected)} of {len(expected)} endpoints")
        world.backends.required.clear()


def unsupported_credentials_are_reported_and_not_written(world: World) -> None:
    services, overrides, missing = [], [], 0
    for type_, sent in SENT.items():
        for kind in CREDENTIALS.keys() - sent.keys():
            one = a_service(world, type_, f"{type_.lower()}-{kind.lower()}")
            services.append(one)
            overrides.append(override(one, f"{type_.lower()}-{kind.lower()}", credentials=CREDENTIALS[kind]))
            missing += 1
        if type_ in NO_TENANT:
            one = a_service(world, type_, f"{type_.lower()}-tenant")
            services.append(one)
            overrides.append(override(one, f"{type_.lower()}-tenant", tenantID="1"))
    loaded = world.load([*services, toolset_config(overrides=overrides)])
    assert "TOOL_SECRET" not in loaded.file and "X-Scope-OrgID" not in loaded.file
    assert loaded.notes.count("CredentialsUnsupported") == missing, loaded.notes
    assert loaded.notes.count("SettingUnsupported") == len(NO_TENANT), loaded.notes
    loaded.all_enabled()


def an_untrusted_certificate_is_accepted_only_with_verify_tls_disabled(world: World) -> None:
    strict = [annotated(type_, "ns", type_.lower(), scheme="https") for type_ in PRODUCTS]
    strict.append(annotated("MCP", "ns", "mcp", world.backends.tls, scheme="https", path="/mcp"))
    lenient = [override(one, one["metadata"]["name"], settings={"verifyTLS": "Disabled"}) for one in strict]
    refused = world.load([*strict, toolset_config()])
    for name, entry in refused.entries.items():
        # grafana/dashboards accepts any failure.
        if name not in ("kubernetes/core", "grafana/dashboards") and not name.startswith(REVISION):
            assert entry["status"] == "failed", f"{name} is {entry['status']}"
    world.load([*strict, toolset_config(overrides=lenient)]).all_instances_answer()


def supported_settings_reach_the_agent(world: World) -> None:
    types = ["Grafana", "Loki", "Tempo", "Elasticsearch", "VictoriaLogs", "Jaeger", "Prometheus", "MCP"]
    services = [a_service(world, type_, type_.lower()) for type_ in types]
    settings = {"timeoutSeconds": 7, "verifyTLS": "Enabled", "paths": ["/api/services", "/api/traces/*"]}
    overrides = [override(one, one["metadata"]["name"], settings=settings) for one in services]
    url = f"http://jaeger.ns.svc.cluster.local:{services[5]['spec']['ports'][0]['port']}"
    calls = [
        {"tool": "jaeger_ns_jaeger_request", "params": {"url": f"{url}{path}"}}
        for path in ("/api/services", "/api/dependencies")
    ]
    loaded = world.load([*services, toolset_config(overrides=overrides)], calls=calls).all_instances_answer()
    assert [call["status"] for call in loaded.answer["calls"]] == ["success", "error"], loaded.answer["calls"]
    for type_ in types[:5]:
        for name in TOOLSETS[type_]:
            instance = loaded.toolsets[name]["config"]["instances"][0]
            assert instance["timeout_seconds"] == 7, f"{name}: {instance}"
    assert loaded.toolsets["jaeger-ns-jaeger"]["config"]["timeout_seconds"] == 7
    said = loaded.notes.count("settings.timeoutSeconds is omitted"), loaded.notes.count("settings.paths is omitted")
    assert said == (2, 7), loaded.notes


def overrides_reach_the_model(world: World) -> None:
    prometheus, loki, jaeger, gone = product("Prometheus"), product("Loki"), product("Jaeger"), product("Zipkin")
    overrides = [
        override(prometheus, "main", toolName="main", description="Metrics of the shop", endpoint={"path": "/prom"}),
        override(loki, "logs", description="Logs of the shop"),
        override(
            jaeger,
            "traces",
            toolName="shop-traces",
            description="Traces: the shop's",
            instructions="Ask for\nservice=shop.",
        ),
        override(gone, "gone", state="Disabled"),
    ]
    loaded = world.load([prometheus, loki, jaeger, gone, toolset_config(overrides=overrides)]).all_instances_answer()
    metrics = loaded.entry("prometheus/metrics")
    assert list(metrics["instances"]) == ["main"] and metrics["description"] == "Metrics of the shop", metrics
    assert loaded.entry("grafana/loki")["description"] == "Logs of the shop"
    traces = loaded.entry("shop-traces")
    assert traces["tools"] == ["shop_traces_request"] and traces["description"] == "Traces: the shop's", traces
    assert traces["instructions"].endswith("Ask for\nservice=shop."), traces
    assert not any("zipkin" in name for name in loaded.entries)
    assert (
        world.backends.seen("prometheus-server.observability.svc.cluster.local:80")[0]["path"] == "/prom/api/v1/query"
    )


def tools_outside_the_cluster_load_beside_discovered_ones(world: World) -> None:
    tools = [
        {
            "name": "corp-prometheus",
            "type": "Prometheus",
            "endpoint": "http://prom.corp.example/",
            "tenantID": "7",
            "credentials": CREDENTIALS["Bearer"],
            "description": "The company's",
        },
        {
            "name": "corp-wiki",
            "type": "Custom",
            "customType": "wiki",
            "endpoint": "http://wiki.corp.example:8080/api",
            "instructions": "GET /search?q=WORDS",
            "settings": {"paths": ["/search"]},
        },
        {"name": "corp-mcp", "type": "MCP", "endpoint": f"http://mcp.corp.example:{world.backends.plain}/mcp"},
    ]
    world.backends.require("prom.corp.example:80", "Authorization", BEARER)
    url = "http://wiki.corp.example:8080/api"
    calls = [{"tool": "corp_wiki_request", "params": {"url": f"{url}/{end}"}} for end in ("search", "edit")]
    loaded = world.load(
        [product("Prometheus"), toolset_config(tools=tools)], env=ENV, calls=calls
    ).all_instances_answer()
    instances = list(loaded.entry("prometheus/metrics")["instances"])
    assert instances == ["observability/prometheus-server", "corp-prometheus"], instances
    assert loaded.entry("corp-mcp")["tools"] == ["whatever"]
    refused = [("not in whitelist" in str(call["error"])) for call in loaded.answer["calls"]]
    assert refused == [False, True], loaded.answer["calls"]


def the_baseline_enables_and_disables_built_ins(world: World) -> None:
    baseline = [
        {"name": "internet", "state": "Disabled"},
        {"name": "kubernetes/logs", "state": "Enabled"},
        {"name": "kubernetes/core", "state": "Disabled"},
        {"name": "no-such-thing", "state": "Enabled"},
    ]
    loaded = world.load([toolset_config(baseline=baseline)])
    assert loaded.entry("internet")["status"] == "disabled"
    assert loaded.entry("kubernetes/core")["status"] == "disabled"
    assert loaded.toolsets["kubernetes/logs"] == {"enabled": True}
    assert "no-such-thing" not in loaded.entries and "no-such-thing" in loaded.notes


BASE = """
x-shared: &http {timeout_seconds: 9, verify_ssl: yes}
toolsets:
  prometheus/metrics: {enabled: true, config: {prometheus_url: "http://saas.example:80/prom", headers: {X-Key: "{{ env.TOOL_SECRET }}"}}}
  grafana/loki: {enabled: true, config: {api_key: "{{ env.TOOL_SECRET }}", instances: [{name: cloud, api_url: "http://cloud.example:80"}]}}
  internet: {enabled: false}
  shop-api: {type: http, description: The shop, config: {<<: *http, endpoints: [{hosts: ["http://shop.example:80"], paths: ["/*"]}]}}
  jaeger-observability-jaeger-query: {type: http, description: Mine, config: {endpoints: [{hosts: ["http://mine.example:80"]}]}}
  kubernetes/logs:
  my.dotted: {type: http}
  headers: {type: http, config: {default_headers: {X.Dot: a}}}
mcp_servers:
  github: {description: GitHub, config: {url: "http://github.example:%d/mcp", mode: streamable-http}}
"""


def the_base_file_is_merged_and_a_mistake_removes_only_its_entry(world: World) -> None:
    plain = world.backends.plain
    objects = [
        product("Prometheus"),
        product("Loki"),
        product("Jaeger"),
        config_map("my-toolsets", custom_toolset__yaml=BASE % plain),
        toolset_config(output={"base": {"configMapName": "my-toolsets"}}),
    ]
    file, notes = world.operator.file(objects)
    hosts = {f"{host}.example:80": plain for host in ("saas", "cloud", "shop", "mine")}
    hosts |= {f"github.example:{plain}": plain}
    for tool in world.operator.tools(objects):
        hosts[tool["endpoint"].split("/")[2]] = plain
    world.backends.require("saas.example:80", "X-Key", SECRET)
    world.backends.require("cloud.example:80", "Authorization", BEARER)
    loaded = world.load_text(file, notes=notes, hosts=hosts, env=ENV)
    enabled = {name for name, entry in loaded.entries.items() if entry["status"] == "enabled"}
    assert {"prometheus/metrics", "grafana/loki", "shop-api", "jaeger-observability-jaeger-query", "github"} <= enabled
    assert loaded.entry("prometheus/metrics")["instances"] == {"observability/prometheus-server": None, "default": None}
    assert loaded.entry("grafana/loki")["instances"] == {"observability/loki-gateway": None, "cloud": None}
    # The fields of the user's instances, such as headers, are not copied to discovered instances.
    assert all(
        "authorization" not in one["headers"]
        for one in world.backends.seen("loki-gateway.observability.svc.cluster.local:80")
    )
    assert loaded.entry("internet")["status"] == "disabled"
    assert loaded.entry("jaeger-observability-jaeger-query")["description"] == "Mine"
    ours = [name for name in loaded.entries if name.startswith("jaeger-observability-jaeger-query-")]
    assert len(ours) == 1 and ours[0] in enabled, sorted(loaded.entries)
    assert loaded.toolsets["shop-api"]["config"]["verify_ssl"] is True
    for name in ("kubernetes/logs", "my.dotted", "headers"):
        assert name not in loaded.entries and name in notes, notes


def a_base_file_that_cannot_be_read_is_reported_and_the_rest_is_written(world: World) -> None:
    for text in ("toolsets: [", "- a\n", "toolsets: text\n", "a: 1\n---\nb: 2\n", "toolsets: [{name: x}]\n"):
        base = config_map("my-toolsets", custom_toolset__yaml=text)
        spec = toolset_config(output={"base": {"configMapName": "my-toolsets"}})
        loaded = world.load([product("Loki"), base, spec])
        assert "BaseInvalid" in loaded.notes, f"{text!r}: {loaded.notes}"
        assert set(loaded.toolsets) == {"grafana/loki", "kubernetes/core"}, loaded.file


def the_predecessors_overrides_disable_and_describe_tools(world: World) -> None:
    text = "tools:\n- {name: loki-gateway, enabled: false}\n- {name: tempo, description: Our traces, endpoint: 'http://evil.example'}\n"
    legacy = config_map("kubernaut-toolset-config", overrides__yaml=text)
    loaded = world.load([product("Loki"), product("Tempo"), legacy, toolset_config()]).all_instances_answer()
    assert "grafana/loki" not in loaded.entries and "evil" not in loaded.file
    assert loaded.entry("grafana/tempo")["description"] == "Our traces"
    assert 'ignores endpoint in entry "tempo"' in loaded.notes, loaded.notes
