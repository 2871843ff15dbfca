"""The configuration keys that the models of the agent know."""

import typing


def unknown_keys(toolset: typing.Any, config: dict, is_server: bool) -> list:
    """The keys of `config` that no model of the agent knows. The agent silently ignores such keys."""
    from holmes.plugins.toolsets.http.http_toolset import HttpToolset, HttpToolsetConfig
    from holmes.plugins.toolsets.mcp.toolset_mcp import MCPConfig, StdioMCPConfig
    from holmes.plugins.toolsets.multi_instance import MultiInstanceToolset

    if isinstance(toolset, MultiInstanceToolset):
        models = toolset._child_cls.config_classes
        shared = {key: value for key, value in config.items() if key != "instances"}
        configs = [
            {**shared, **{key: value for key, value in instance.items() if key != "name"}}
            for instance in config.get("instances") or [{}]
        ]
    else:
        configs = [config]
        if isinstance(toolset, HttpToolset):
            models = [HttpToolsetConfig]
        elif is_server:
            models = [StdioMCPConfig if config.get("mode") == "stdio" else MCPConfig]
        else:
            models = getattr(toolset, "config_classes", None) or []
    if not models:
        return sorted(config)
    found = []
    for one in configs:
        found += min((unknown_to(model, one, "") for model in models), key=len)
    return found


def unknown_to(model: typing.Any, data: dict, path: str) -> list:
    known = {}
    for name, field in model.model_fields.items():
        known[name] = field.annotation
        for alias in (field.alias, field.validation_alias):
            if isinstance(alias, str):
                known[alias] = field.annotation
    for old in getattr(model, "_deprecated_mappings", {}) or {}:
        known[old] = None
    found = []
    for key, value in data.items():
        if key not in known:
            found.append(f"{path}{key}")
            continue
        inner = model_in(known[key])
        if inner is not None:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    found += unknown_to(inner, item, f"{path}{key}.")
    return found


def model_in(annotation: typing.Any) -> typing.Any:
    """The model in `Optional[…]` or `List[…]`, or None."""
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return annotation
    if typing.get_origin(annotation) is dict:
        return None
    for argument in typing.get_args(annotation):
        inner = model_in(argument)
        if inner is not None:
            return inner
    return None
