"""Every type loads, with one or several instances, also if some instances do not answer."""

import time

from cluster import PRODUCTS, TOOLSETS, annotated, endpoints, product, toolset_config
from world import World

SHARED = ["Prometheus", "Grafana", "Loki", "Tempo", "Elasticsearch", "VictoriaLogs"]


def everything(world: World) -> list:
    """One Service of every type."""
    services = [product(type_) for type_ in PRODUCTS]
    services.append(annotated("vector-database", "data", "qdrant", health_path="/health"))
    # The agent's MCP client cannot be redirected to another port.
    services.append(annotated("MCP", "tools", "github", world.backends.plain, path="/mcp"))
    services.append(annotated("MCP", "tools", "legacy", world.backends.plain, path="/sse"))
    return services


def every_type_loads(world: World) -> None:
    objects = [*everything(world), toolset_config()]
    types = {tool["type"] for tool in world.operator.tools(objects)}
    assert types == {*PRODUCTS, "MCP", "vector-database"}, types
    loaded = world.load(objects).all_instances_answer()
    for type_ in PRODUCTS:
        name = f"{type_.lower()}-observability-{PRODUCTS[type_][0]}"
        for toolset in TOOLSETS.get(type_, [name]):
            assert toolset in loaded.entries, f"{type_} is not in {toolset}"


def the_file_loads_without_tools(world: World) -> None:
    loaded = world.load([toolset_config()])
    assert list(loaded.parsed) == ["toolsets"], loaded.file
    assert loaded.entry("kubernetes/core")["status"] != "absent"


def a_mixed_stack_loads_and_a_hung_instance_is_withheld_by_health(world: World) -> None:
    services = [*everything(world), product("Prometheus", "second"), product("Prometheus", "hung")]
    hung = "hung/prometheus-server"
    slices = [endpoints(one, serving=one["metadata"]["namespace"] != "hung") for one in services]
    loaded = world.load([*services, *slices, toolset_config(health={"mode": "Endpoints"})], state={hung: "hung"})
    loaded.all_instances_answer()
    assert hung not in loaded.file
    assert "second/prometheus-server" in loaded.entry("prometheus/metrics")["instances"]


def instances_of_every_toolset_load_beside_a_dead_one(world: World) -> None:
    services = [product(type_, namespace) for type_ in SHARED for namespace in ("a", "b", "dead")]
    dead = {f"dead/{PRODUCTS[type_][0]}": "dead" for type_ in SHARED}
    loaded = world.load([*services, toolset_config()], state=dead).all_enabled()
    for type_ in SHARED:
        for toolset in TOOLSETS[type_]:
            offline = {name for name, why in loaded.entry(toolset)["instances"].items() if why is not None}
            # grafana/dashboards treats a refused connection as an answer.
            assert offline == (set() if type_ == "Grafana" else {f"dead/{PRODUCTS[type_][0]}"}), f"{toolset}: {offline}"


def one_hung_instance_does_not_fail_the_others(world: World) -> None:
    services = [product(type_, namespace) for type_ in SHARED for namespace in ("a", "hung", "z")]
    hung = {f"hung/{PRODUCTS[type_][0]}": "hung" for type_ in SHARED}
    started = time.monotonic()
    loaded = world.load([*services, toolset_config()], state=hung).all_enabled()
    world.says(f"loaded in {time.monotonic() - started:.1f} s with a hung instance in every toolset")
    for type_ in SHARED:
        for toolset in TOOLSETS[type_]:
            answering = {name for name, why in loaded.entry(toolset)["instances"].items() if why is None}
            assert {f"a/{PRODUCTS[type_][0]}", f"z/{PRODUCTS[type_][0]}"} <= answering, f"{toolset}: {answering}"


def an_http_entry_that_fails_does_not_affect_others(world: World) -> None:
    services = [product("Jaeger", "dead"), product("Jaeger", "fine"), product("Prometheus")]
    loaded = world.load([*services, toolset_config()], state={"dead/jaeger-query": "dead"})
    assert loaded.entry("jaeger-dead-jaeger-query")["status"] == "failed"
    assert loaded.entry("jaeger-fine-jaeger-query")["status"] == "enabled"
    assert loaded.entry("prometheus/metrics")["status"] == "enabled"


def an_http_entry_allows_only_the_requests_in_its_instructions(world: World) -> None:
    url = "http://jaeger-query.observability.svc.cluster.local:16686"
    tool = "jaeger_observability_jaeger_query_request"
    calls = [
        {"tool": tool, "params": {"url": f"{url}/api/services"}},
        {"tool": tool, "params": {"url": f"{url}/api/services", "method": "POST"}},
        {"tool": tool, "params": {"url": f"{url}/health"}},
        {"tool": tool, "params": {"url": "http://grafana.observability.svc.cluster.local:80/api/health"}},
    ]
    loaded = world.load([product("Jaeger"), product("Grafana"), toolset_config()], calls=calls).all_enabled()
    statuses = [call["status"] for call in loaded.answer["calls"]]
    assert statuses == ["success", "error", "error", "error"], loaded.answer["calls"]
    entry = loaded.entry("jaeger-observability-jaeger-query")
    assert tool in entry["instructions"] and f"Base URL: {url}" in entry["instructions"], entry["instructions"]


def a_path_prefix_is_part_of_every_request(world: World) -> None:
    services = [
        annotated(type_, "ns", type_.lower(), path=f"/behind/{type_.lower()}")
        for type_ in [*SHARED, "Jaeger", "VictoriaTraces"]
    ]
    services.append(annotated("VictoriaMetrics", "ns", "victoriametrics", path="/select/0/prometheus"))
    world.load([*services, toolset_config()]).all_instances_answer()
    for one in services:
        name, prefix = one["metadata"]["name"], one["metadata"]["annotations"]["kubernaut.io/toolset-path"]
        paths = [request["path"] for request in world.backends.seen(f"{name}.ns.svc.cluster.local:8080")]
        assert paths and all(path.startswith(f"{prefix}/") and "//" not in path for path in paths), f"{name}: {paths}"
