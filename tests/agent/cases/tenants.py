"""What the Service of a tenant can reach in the agent."""

from cases.spec import override
from cluster import PRODUCTS, annotated, product, toolset_config
from world import World

SOURCES = [
    {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["platform"]}},
    {"name": "teams", "trust": "Tenant", "namespaces": {"from": "Names", "names": ["team-0", "team-1", "team-2"]}},
]


def a_tenants_tools_are_http_only_and_do_not_change_other_tools(world: World) -> None:
    platform = [product(type_, "platform") for type_ in PRODUCTS]
    # A namespace of a tenant can have at most ten tools.
    tenant = [annotated(type_, f"team-{place // 8}", f"{type_.lower()}-x") for place, type_ in enumerate(PRODUCTS)]
    tenant.append(annotated("bash-like", "team-2", "shell", name="bash"))
    tenant.append(annotated("Jaeger", "team-2", "spoof", name="jaeger-platform-jaeger-query"))
    alone = world.load([*platform, toolset_config(sources=SOURCES)]).all_instances_answer()
    both = world.load([*platform, *tenant, toolset_config(sources=SOURCES)]).all_instances_answer()
    for name, entry in alone.toolsets.items():
        assert both.toolsets[name] == entry, name
        assert both.entry(name)["tools"] == alone.entry(name)["tools"], name
    added = {name: both.entry(name) for name in both.toolsets.keys() - alone.toolsets.keys()}
    assert len(added) == len(tenant), sorted(added)
    for name, entry in added.items():
        assert entry["type"] == "http" and "team" in name, name
        assert entry["description"].startswith("Tenant-provided by namespace team-"), entry["description"]
        assert "Tenant-provided" in entry["instructions"]
        call = both.toolsets[name]["config"]["endpoints"][0]
        assert call["methods"] == ["GET"]
        # The agent would put the answer of a failed check into its prompt.
        assert "health_check_url" not in call, name


def a_tenants_entry_allows_only_the_queries_of_its_product(world: World) -> None:
    loki = annotated("Loki", "team-0", "logs", path="/tenant")
    shop = annotated("shop-api", "team-1", "shop", path="/v1", health_path="/v1/health")
    # The settings of an override do not add paths to the entry of a tenant.
    overrides = [override(one, one["metadata"]["name"], settings={"paths": ["/*", "/admin"]}) for one in (loki, shop)]
    allowed = {"logs.team-0": ["/tenant/loki/api/v1/labels"], "shop.team-1": ["/v1/orders", "/v1/a/b"]}
    refused = {
        "logs.team-0": ["/tenant/loki/api/v1/push", "/tenant/config", "/loki/api/v1/labels", "/tenant/admin", "/"],
        "shop.team-1": ["/admin", "/", "/v2/orders", "/v1x/orders"],
    }
    tools = {"logs.team-0": "loki_team_0_logs_request", "shop.team-1": "shop_api_team_1_shop_request"}

    def calls(of: dict) -> list:
        return [
            {"tool": tools[host], "params": {"url": f"http://{host}.svc.cluster.local:8080{path}"}}
            for host, paths in of.items()
            for path in paths
        ]

    config = toolset_config(sources=SOURCES, overrides=overrides)
    loaded = world.load([loki, shop, config], calls=[*calls(allowed), *calls(refused)]).all_enabled()
    # Requests that the entry allows arrive, and the others never leave the agent.
    arrived = [one["path"] for one in world.backends.requests]
    assert arrived == [path for paths in allowed.values() for path in paths], arrived
    statuses = [call["status"] for call in loaded.answer["calls"][len(arrived) :]]
    assert statuses == ["error"] * len(statuses), loaded.answer["calls"]
