"""Credentials are variables of the agent's environment: what the agent does if they are unset, empty or unusual."""

from backends import basic
from cases.spec import CREDENTIALS, SENT, USER, a_service, override
from cluster import product, toolset_config
from world import World

PLACEHOLDER = "{{ env.TOOL_SECRET }}"


def an_unset_variable_fails_its_whole_entry(world: World) -> None:
    fine, locked = product("Prometheus", "fine"), product("Prometheus", "locked")
    overrides = [override(locked, "locked", credentials={"type": "Bearer", "env": "NOBODY_SET_THIS"})]
    loaded = world.load([fine, locked, product("Loki"), toolset_config(overrides=overrides)])
    entry = loaded.entry("prometheus/metrics")
    assert entry["status"] == "failed" and "NOBODY_SET_THIS does not exist" in entry["error"], entry
    assert loaded.entry("grafana/loki")["status"] == "enabled"


# What the agent sends for an empty variable. It replaces a placeholder by an empty text only if there is more text beside it.
SENT_FOR_EMPTY = {
    "Bearer": f"Bearer {PLACEHOLDER}",
    "Basic": basic(USER, PLACEHOLDER),
    "ApiKey": f"Bearer {PLACEHOLDER}",
    "Header": PLACEHOLDER,
}
# Some toolsets have a field for the whole header, and elasticsearch/* has a scheme of its own.
SENT_FOR_EMPTY_BY_TYPE = {
    **{(type_, "Bearer"): "Bearer " for type_ in ("Prometheus", "Thanos", "Mimir", "VictoriaMetrics")},
    # The MCP client does not accept a header that ends with a space.
    ("MCP", "Bearer"): None,
    **{(type_, "ApiKey"): f"ApiKey {PLACEHOLDER}" for type_ in ("Elasticsearch", "OpenSearch")},
}


def an_empty_variable_is_sent_as_nothing_or_as_its_placeholder(world: World) -> None:
    # The agent tries to connect to the MCP server until this time is over.
    env = {"TOOL_SECRET": "", "TOOL_USER": USER, "HOLMES_TOOLSET_PREREQ_TIMEOUT_SECONDS": "5"}
    for kind, credentials in CREDENTIALS.items():
        types = [type_ for type_, sent in SENT.items() if kind in sent]
        services = [a_service(world, type_, f"{type_.lower()}-{kind.lower()}") for type_ in types]
        overrides = [override(one, one["metadata"]["name"], credentials=credentials) for one in services]
        loaded = world.load([*services, toolset_config(overrides=overrides)], env=env)
        if kind == "Bearer":
            assert loaded.entry("mcp-ns-mcp-bearer")["status"] == "failed"
        world.report.clear()
        for type_, one in zip(types, services, strict=True):
            name, header = one["metadata"]["name"], SENT[type_][kind][0].lower()
            requests = world.backends.seen(f"{name}.ns.svc.cluster.local:{one['spec']['ports'][0]['port']}")
            values = {request["headers"].get(header) for request in requests}
            expected = SENT_FOR_EMPTY_BY_TYPE.get((type_, kind), SENT_FOR_EMPTY[kind])
            assert (values or {None}) == {expected}, f"{type_} {kind}: {values} instead of {expected!r}"


def a_backslash_in_a_variable_fails_its_whole_entry(world: World) -> None:
    one = product("Loki")
    overrides = [override(one, "logs", credentials=CREDENTIALS["Bearer"])]
    for value, why in {"a\\1b": "invalid group reference", "a\\qb": "bad escape", "a\\nb": ""}.items():
        entry = world.load([one, toolset_config(overrides=overrides)], env={"TOOL_SECRET": value}).entry("grafana/loki")
        assert entry["status"] == "failed" and why in entry["error"], f"{value}: {entry}"
