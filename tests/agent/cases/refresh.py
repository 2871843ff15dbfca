"""The running agent takes every change at its next refresh, without a restart, because of the entry with the revision.

The agent re-reads the file every 5 minutes (TOOLSET_STATUS_REFRESH_INTERVAL_SECONDS), and keeps the toolsets that run unless a name, a
state or a tool has changed. The name of the entry `discovered-revision-<hash>` changes with the file. The last cases check that the agent
still needs it.
"""

import hashlib

import yaml

from cluster import PRODUCTS, REVISION, TOOLSETS, annotated, config_map, product, toolset_config
from world import Running, World

METRICS = "prometheus/metrics"
A = annotated("Prometheus", "a", "metrics", path="/a")
B = annotated("Prometheus", "b", "metrics")
C = annotated("Prometheus", "c", "metrics")
MOVED = annotated("Prometheus", "a", "metrics", path="/moved")
DISABLED = {"consumer": {"revisionEntry": "Disabled"}}


def url(namespace: str, path: str = "") -> str:
    return f"http://metrics.{namespace}.svc.cluster.local:8080{path}"


def query(instance: str | None = None) -> list:
    params = {"query": "up", "description": "what is up", **({"instance": instance} if instance else {})}
    return [{"tool": "execute_prometheus_instant_query", "params": params}]


def revision(running: Running) -> str:
    """The one entry with the revision. It has no tools and is not in the prompt."""
    names = [name for name in running.entries if name.startswith(REVISION)]
    assert len(names) == 1, names
    assert running.entries[names[0]]["status"] == "enabled" and not running.entries[names[0]]["tools"]
    assert REVISION not in running.prompt and "Revision of the discovered toolsets" not in running.prompt
    return names[0]


def all_swapped(steps: list[Running]) -> None:
    for step in steps:
        assert step.refused is None, step.refused
        assert step.swapped, f"the refresh kept the old toolsets:\n{step.file}"
        # The agent runs exactly the file that it was given last.
        assert revision(step) in step.file, step.file


def a_changed_url_arrives_at_the_next_refresh(world: World) -> None:
    versions = [[A, toolset_config()], [MOVED, toolset_config()]]
    steps = world.refresh(versions, calls=[query(), query()])
    all_swapped(steps)
    assert [step.urls(METRICS) for step in steps] == [{"a/metrics": url("a", "/a")}, {"a/metrics": url("a", "/moved")}]
    # The next question of the model goes to the new URL.
    asked = [one["path"] for one in world.backends.seen("metrics.a.svc.cluster.local:8080") if one["method"] == "POST"]
    assert asked == ["/a/api/v1/query", "/moved/api/v1/query"], world.backends.requests


def further_instances_arrive_at_the_next_refresh(world: World) -> None:
    versions = [[*services, toolset_config()] for services in ([A], [A, B], [A, B, C], [A, C], [C])]
    steps = world.refresh(versions)
    all_swapped(steps)
    assert [sorted(step.urls(METRICS)) for step in steps] == [
        ["a/metrics"],
        ["a/metrics", "b/metrics"],
        ["a/metrics", "b/metrics", "c/metrics"],
        ["a/metrics", "c/metrics"],
        ["c/metrics"],
    ]


def further_instances_of_every_toolset_arrive_at_the_next_refresh(world: World) -> None:
    types = ["Prometheus", "Grafana", "Loki", "Tempo", "Elasticsearch", "VictoriaLogs"]
    namespaces = (["a"], ["a", "b"], ["a", "b", "c"])
    versions = [[*(product(type_, one) for one in some for type_ in types), toolset_config()] for some in namespaces]
    steps = world.refresh(versions)
    all_swapped(steps)
    for step, some in zip(steps, namespaces, strict=True):
        for type_ in types:
            for toolset in TOOLSETS[type_]:
                assert sorted(step.urls(toolset)) == [f"{one}/{PRODUCTS[type_][0]}" for one in some], toolset


def swapped_urls_arrive_at_the_next_refresh(world: World) -> None:
    def named(one: str, two: str) -> list:
        pairs = [(one, A), (two, B)]
        overrides = [
            {"name": name, "match": {"namespace": of["metadata"]["namespace"], "service": "metrics"}, "toolName": name}
            for name, of in pairs
        ]
        return [A, B, toolset_config(overrides=overrides)]

    steps = world.refresh([named("live", "old"), named("old", "live")], calls=[query("live"), query("live")])
    all_swapped(steps)
    assert [step.urls(METRICS) for step in steps] == [
        {"live": url("a", "/a"), "old": url("b")},
        {"live": url("b"), "old": url("a", "/a")},
    ]
    asked = [one["authority"] for one in world.backends.requests if one["method"] == "POST"]
    assert asked == ["metrics.a.svc.cluster.local:8080", "metrics.b.svc.cluster.local:8080"], asked


def an_added_and_a_removed_type_arrive_at_the_next_refresh(world: World) -> None:
    versions = [[*services, toolset_config()] for services in ([A], [A, product("Loki"), product("Jaeger")], [A])]
    steps = world.refresh(versions)
    all_swapped(steps)
    added = {"grafana/loki", "jaeger-observability-jaeger-query"}
    assert [bool(added & set(step.entries)) for step in steps] == [False, True, False]
    assert added <= set(steps[1].entries)


def a_changed_address_of_an_entry_of_its_own_arrives_at_the_next_refresh(world: World) -> None:
    before = annotated("Jaeger", "a", "traces", 8080)
    after = annotated("Jaeger", "a", "traces", 9090)
    new = "http://traces.a.svc.cluster.local:9090/api/services"
    ask = [{"tool": "jaeger_a_traces_request", "params": {"url": new}}]
    steps = world.refresh([[before, toolset_config()], [after, toolset_config()]], calls=[ask, ask])
    all_swapped(steps)
    assert [step.calls[0]["status"] for step in steps] == ["error", "success"], [step.calls for step in steps]


def nothing_changes_while_the_file_does_not_change(world: World) -> None:
    services = [product(type_, namespace) for type_ in PRODUCTS for namespace in ("a", "b")]
    # The order of the objects has no effect on the file.
    steps = world.refresh([[*services, toolset_config()], [*reversed(services), toolset_config()], [*services, toolset_config()]])
    assert [step.swapped for step in steps] == [True, False, False]
    assert len({revision(step) for step in steps}) == 1


def the_revision_is_the_hash_of_the_rest_of_the_file(world: World) -> None:
    for services in ([], [A], [A, B], [product(type_) for type_ in PRODUCTS]):
        file, _ = world.operator.file([*services, toolset_config()])
        bare, _ = world.operator.file([*services, toolset_config(**DISABLED)])
        name = f"{REVISION}{hashlib.sha256(bare.encode()).hexdigest()[:8]}"
        entries = yaml.safe_load(file)["toolsets"]
        assert entries.pop(name) == {"enabled": True, "description": "Revision of the discovered toolsets"}, file
        assert entries == yaml.safe_load(bare)["toolsets"]


def an_invalid_file_keeps_the_toolsets_that_run(world: World) -> None:
    good, hosts = world.operator.file([A, toolset_config()])[0], world.hosts([A, toolset_config()])
    for what, bad in {
        "not YAML": "toolsets: {\n",
        "cut off": good[: len(good) // 2] + "\n  x: [",
        "empty": "",
        "a key with a dot": good + "  a.b: {enabled: true}\n",
        "an empty entry": good + "  jaeger:\n",
    }.items():
        start, broken, mended = world.refresh_texts([good, bad, good], hosts=hosts, calls=[query()] * 3)
        assert broken.refused and not broken.swapped, f"{what} is accepted"
        assert broken.entries == start.entries and broken.calls[0]["status"] != "error", broken.calls
        assert mended.refused is None and not mended.swapped, what
        world.says(f"kept for {what}: {broken.refused[:60]}")


def a_file_that_is_missing_at_the_start_is_not_looked_for_again(world: World) -> None:
    good, hosts = world.operator.file([A, toolset_config()])[0], world.hosts([A, toolset_config()])
    start, appeared = world.refresh_texts([None, good], hosts=hosts)
    assert METRICS not in start.entries and METRICS not in appeared.entries and not appeared.swapped
    # A file that goes missing later changes nothing.
    start, gone = world.refresh_texts([good, None], hosts=hosts)
    assert gone.refused and not gone.swapped and METRICS in gone.entries


def an_invalid_base_keeps_the_discovered_toolsets(world: World) -> None:
    base = {"output": {"base": {"configMapName": "mine", "key": "custom_toolset.yaml"}}}
    shop = "toolsets: {shop-api: {type: http, description: d, config: {endpoints: [{hosts: ['http://shop.example:80']}]}}}\n"
    versions = [
        [A, config_map("mine", custom_toolset__yaml=text), toolset_config(**base)]
        for text in (shop, "toolsets: {\n", "toolsets: [shop]\n", shop)
    ]
    steps = world.refresh(versions)
    all_swapped([steps[0], steps[1], steps[3]])  # both invalid bases give the same file
    assert not steps[2].swapped and revision(steps[2]) == revision(steps[1])
    assert [METRICS in step.entries for step in steps] == [True] * 4
    assert ["shop-api" in step.entries for step in steps] == [True, False, False, True]
    assert ["BaseInvalid" in step.notes for step in steps] == [False, True, True, False], [step.notes for step in steps]


def our_own_output_as_the_base_gives_one_revision(world: World) -> None:
    output, _ = world.operator.file([A, B, toolset_config()])
    base = {"output": {"base": {"configMapName": "mine", "key": "custom_toolset.yaml"}}}
    versions = [[one, config_map("mine", custom_toolset__yaml=output), toolset_config(**base)] for one in (A, MOVED)]
    steps = world.refresh(versions)
    all_swapped(steps)
    for step in steps:
        assert {"a/metrics", "b/metrics"} <= set(step.entries[METRICS]["instances"]), step.file
        assert REVISION in step.notes, step.notes


def a_new_variable_of_the_environment_needs_a_restart(world: World) -> None:
    credentials = {"type": "Bearer", "env": "NEW_TOKEN"}
    locked = {"name": "locked", "match": {"namespace": "a", "service": "metrics"}, "credentials": credentials}
    versions = [[A, toolset_config()], [A, toolset_config(overrides=[locked])]]
    _, after = world.refresh(versions)
    entry = after.entries[METRICS]
    assert entry["status"] == "failed" and "NEW_TOKEN does not exist" in entry["error"], entry
    # With the variable from the start, the same change arrives.
    _, after = world.refresh(versions, env={"NEW_TOKEN": "x"})
    assert after.entries[METRICS]["status"] == "enabled" and after.swapped


def without_the_revision_a_changed_url_stays_stale(world: World) -> None:
    _, after = world.refresh([[A, toolset_config(**DISABLED)], [MOVED, toolset_config(**DISABLED)]])
    assert "/moved" in after.file and not after.swapped
    assert after.urls(METRICS) == {"a/metrics": url("a", "/a")}, "the agent applies every change: the revision is not needed any more"


def without_the_revision_a_third_instance_stays_away(world: World) -> None:
    versions = [[*services, toolset_config(**DISABLED)] for services in ([A, B], [A, B, C])]
    _, after = world.refresh(versions)
    assert "c/metrics" in after.file and not after.swapped
    assert sorted(after.urls(METRICS)) == ["a/metrics", "b/metrics"]
