"""Files that the agent refuses, including the files of the predecessor.

The operator relies on these facts about the agent. If a case fails with a new version of the agent, a rule of the operator must be
removed, changed or added.
"""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

from cluster import Operator, product, service, toolset_config
from world import World

CORE = "toolsets: {kubernetes/core: {enabled: true}}\n"

REFUSED = {
    "a key with a dot": "toolsets: {my.http: {type: http, enabled: true}}\n",
    "a key with a dot, deep inside": "toolsets: {x: {type: http, config: {default_headers: {X.Dot: a}}}}\n",
    "toolsets that is null": "toolsets:\nmcp_servers: {a: {config: {url: 'http://a/'}}}\n",
    "mcp_servers that is null": CORE + "mcp_servers:\n",
    "an entry that is null": "toolsets: {prometheus/metrics: }\n",
    "toolsets that is a list": "toolsets: [{name: x}]\n",
    "both sections empty": "toolsets: {}\nmcp_servers: {}\n",
    "no section at all": "# nothing\n",
    "two documents": CORE + "---\n" + CORE,
    "invalid YAML": "toolsets: {\n",
}

# The built-in toolsets of old versions that the tested version does not have.
REMOVED = {
    (0, 39, 0): {"azure/sql", "kubectl-run", "kubernetes/krew-extras", "kubernetes/kube-lineage-extras"},
}

# The formats in the documentation and in the code of the predecessor.
PREDECESSOR = {
    "toolset.json": json.dumps(
        {
            "tools": [
                {
                    "name": "prometheus",
                    "type": "prometheus",
                    "endpoint": "http://prometheus.monitoring.svc.cluster.local:9090",
                    "description": "prometheus service in monitoring namespace",
                    "namespace": "monitoring",
                    "metadata": {},
                }
            ]
        }
    ),
    "toolset.yaml": "tools:\n- name: prometheus_query\n  type: http\n  description: Query\n  endpoint: http://prometheus.monitoring.svc:9090\n",
    "prometheus-toolset.yaml": "toolset: prometheus\nenabled: true\nconfig:\n  url: http://prometheus-server.monitoring:9090\n  timeout: 30s\n",
}


def the_agent_refuses_a_whole_file_for_each_of_these(world: World) -> None:
    for what, text in REFUSED.items():
        answer = world.agents.load(text, {}, {}, [])
        assert "refused" in answer, f"{what} is accepted"
        world.says(f"refused for {what}")


def the_predecessors_files_do_not_load(world: World) -> None:
    for name, text in PREDECESSOR.items():
        answer = world.agents.load(text, {}, {}, [])
        assert "refused" in answer, f"{name} is accepted"
        world.says(f"{name}: {answer['refused'][:60]}")


def an_entry_without_a_toolset_in_the_agent_fails(world: World) -> None:
    for name in ("jaeger", "opensearch/status", "http"):
        answer = world.agents.load(
            f"toolsets: {{{name}: {{enabled: true, config: {{url: 'http://x'}}}}}}\n", {}, {}, []
        )
        assert answer["entries"][name]["status"] == "failed", answer


def a_built_in_without_enabled_stays_off(world: World) -> None:
    answer = world.agents.load("toolsets: {grafana/loki: {config: {api_url: 'http://x'}}}\n", {}, {}, [])
    assert answer["entries"]["grafana/loki"]["status"] == "disabled", answer


def the_operator_writes_enabled_into_every_entry(world: World) -> None:
    loaded = world.load([product("Loki"), product("Jaeger"), toolset_config()])
    assert {"grafana/loki", "jaeger-observability-jaeger-query", "kubernetes/core"} == set(loaded.toolsets), loaded.file
    assert all(entry["enabled"] is True for entry in loaded.parsed["toolsets"].values()), loaded.file


def an_unknown_configuration_key_is_silently_ignored(world: World) -> None:
    """Only `unknown` in the report shows such a key. This case checks that it does."""
    text = "toolsets: {grafana/loki: {enabled: true, config: {api_url: 'http://x:80', timeout: 5, instances: [{name: a, foo: 1}]}}}\n"
    answer = world.agents.load(text, {"x:80": world.backends.plain}, {}, [])
    entry = answer["entries"]["grafana/loki"]
    assert entry["status"] == "enabled" and sorted(entry["unknown"]) == ["foo", "timeout"], entry


def two_entries_can_have_the_same_tool_name(world: World) -> None:
    entry = "{type: http, enabled: true, description: d, config: {endpoints: [{hosts: ['http://x:80']}]}}"
    answer = world.agents.load(f"toolsets: {{jaeger-a-b_c: {entry}, jaeger-a_b-c: {entry}}}\n", {}, {}, [])
    tools = [tool for one in answer["entries"].values() for tool in one["tools"]]
    assert tools == ["jaeger_a_b_c_request"] * 2, answer
    assert sum(tool == "jaeger_a_b_c_request" for tool in answer["tools"]) == 1


def an_enabled_toolset_can_still_fail(world: World) -> None:
    """The check of Grafana accepts any failure, and the check of Prometheus accepts any answer with status 200."""
    grafana, prometheus = product("Grafana"), product("Prometheus")
    world.backends.break_with("grafana.observability.svc.cluster.local:80", 503, '{"error": "down"}')
    world.backends.break_with("prometheus-server.observability.svc.cluster.local:80", 200, "<html>Log in</html>")
    query = {"tool": "execute_prometheus_instant_query", "params": {"query": "up", "description": "what is up"}}
    loaded = world.load([grafana, prometheus, toolset_config()], calls=[query]).all_enabled()
    assert loaded.answer["calls"][0]["status"] == "error", loaded.answer["calls"]


def the_agent_compares_paths_as_text(world: World) -> None:
    """A path with `..` leaves the allowed paths, but not the host. The operator cannot prevent this."""
    entry = "{type: http, description: d, config: {endpoints: [{hosts: ['http://x:80'], paths: ['/v1/*']}]}}"
    paths = ("v1/../up", "v1/%2e%2e/up", "up")
    calls = [{"tool": "x_request", "params": {"url": f"http://x:80/{path}"}} for path in paths]
    answer = world.agents.load(f"toolsets: {{x: {entry}}}\n", {"x:80": world.backends.plain}, {}, calls)
    assert len(world.backends.requests) == 2, world.backends.requests
    assert "not in whitelist" in answer["calls"][2]["error"], answer["calls"]


def the_list_of_built_in_toolsets_is_complete(world: World) -> None:
    """The list in crates/toolset/src/agent_names.rs is complete, so a baseline may name every toolset."""
    names = sorted({*built_ins(), *named_in_modules()})
    operator: Operator = world.operator
    left_out = set()
    for start in range(0, len(names), 60):
        baseline = [{"name": name, "state": "Disabled"} for name in names[start : start + 60]]
        _, notes = operator.file([service("a", "unrelated", 80), toolset_config(baseline=baseline)])
        left_out |= set(re.findall(r"Baseline (\S+) is omitted", notes))
    world.says(f"{len(names)} built-in toolsets")
    assert left_out == REMOVED.get(world.version, set()), left_out
    if left_out:
        world.limit(f"all but {len(left_out)}")


def the_operator_names_the_version_with_which_it_is_tested(world: World) -> None:
    _, notes = world.operator.file([toolset_config(baseline=[{"name": "no-such-thing", "state": "Enabled"}])])
    assert f"HolmesGPT {'.'.join(map(str, world.version))} has no built-in toolset" in notes, notes


def built_ins() -> list:
    script = (
        "from holmes.plugins.toolsets import load_builtin_toolsets\n"
        "print('\\n'.join(sorted(toolset.name for toolset in load_builtin_toolsets(None, None))))"
    )
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "KUBECONFIG": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    return done.stdout.split()


def named_in_modules() -> list:
    """Toolsets that the agent has only with an account, by the constants with their names."""
    spec = importlib.util.find_spec("holmes")
    names = []
    for folder in spec.submodule_search_locations:
        for file in (pathlib.Path(folder) / "plugins" / "toolsets").rglob("*.py"):
            names += re.findall(r'^TOOLSET_NAME\b.*= "(.+)"$', file.read_text(), re.MULTILINE)
    assert names, "the agent has constants of that name"
    return names
