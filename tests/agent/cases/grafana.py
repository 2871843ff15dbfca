"""Grafana's file is read by readers of YAML 1.1 and 1.2. Both must read the same."""

import yaml

from cluster import NAMESPACE, annotated, product, toolset_config
from world import World

KEY = f"toolset-operator.{NAMESPACE}.default.yaml"
# What a reader of YAML 1.1 takes for another type if it is not quoted.
UNUSUAL = ["on", "no", "null", "y", "1e3", "0x1f", "0o17", "08", "1-2-3", "12e45"]


def config(**spec: object) -> dict:
    return toolset_config(output={"formats": ["GrafanaDatasources"]}, **spec)


def grafanas_file(world: World, objects: list) -> dict:
    written = yaml.safe_load(world.operator.config_map(objects))
    assert list(written["data"]) == [KEY], written["data"]
    assert written["metadata"]["labels"]["grafana_datasource"] == "1", written["metadata"]
    return yaml.safe_load(written["data"][KEY])


def every_field_of_a_data_source_has_its_type(world: World) -> None:
    services = [annotated("Loki", f"ns-{name}"[:63], name) for name in UNUSUAL]
    services += [annotated("Prometheus", "on", "off"), product("Thanos"), product("Alertmanager")]
    tenants = [
        {"name": f"t{number}", "match": {"namespace": f"ns-{name}", "service": name}, "tenantID": tenant}
        for number, (name, tenant) in enumerate(zip(UNUSUAL, ["1", "1e3", "on", "null", "08", "0o17", "12e45", "1.5", ".nan", "~"]))
        if tenant != "~"
    ]
    file = grafanas_file(world, [*services, config(overrides=tenants)])
    assert file["apiVersion"] == 1
    sources = {source["name"]: source for source in file["datasources"]}
    assert len(sources) == len(services), sorted(sources)
    for source in sources.values():
        for field in ("name", "uid", "type", "access", "url"):
            assert isinstance(source[field], str), source
        assert (source["orgId"], source["isDefault"], source["editable"], source["access"]) == (1, False, False, "proxy")
        assert all(isinstance(value, str) for value in source.get("secureJsonData", {}).values()), source
    for rule in tenants:
        name = f"{rule['match']['namespace']}/{rule['match']['service']} (discovered)"
        assert sources[name]["secureJsonData"] == {"httpHeaderValue1": rule["tenantID"]}, sources[name]
        assert sources[name]["jsonData"]["httpHeaderName1"] == "X-Scope-OrgID"
    uids = {source["uid"] for source in sources.values()}
    assert len(uids) == len(sources) and all(len(uid) == 15 for uid in uids), uids


def an_index_is_a_text(world: World) -> None:
    services = [product("Elasticsearch"), product("OpenSearch")]
    rules = [
        {"name": "es", "match": {"type": "Elasticsearch"}, "settings": {"index": "1e3", "timeoutSeconds": 9}},
        {"name": "os", "match": {"type": "OpenSearch"}, "settings": {"index": "*", "verifyTLS": "Disabled"}},
    ]
    file = grafanas_file(world, [*services, config(overrides=rules)])
    elastic, opensearch = file["datasources"]
    assert elastic["jsonData"] == {"index": "1e3", "timeField": "@timestamp", "timeout": 9}, elastic
    assert opensearch["jsonData"]["database"] == "*" and opensearch["jsonData"]["tlsSkipVerify"] is True, opensearch
    assert opensearch["jsonData"]["version"] == "1.0.0", opensearch


def what_is_gone_is_deleted_by_a_name_that_is_a_text(world: World) -> None:
    services = [annotated("Loki", "on", "no"), annotated("Loki", "a", "b")]
    before = yaml.safe_load(world.operator.config_map([*services, config()]))
    file = grafanas_file(world, [services[1], config(), before])
    assert file["deleteDatasources"] == [{"name": "on/no (discovered)", "orgId": 1}], file
    assert [source["name"] for source in file["datasources"]] == ["a/b (discovered)"], file


def without_tools_the_file_is_valid(world: World) -> None:
    assert grafanas_file(world, [config()]) == {"apiVersion": 1, "datasources": []}
