"""Loads toolset files with the server code of the agent, and describes the result.

This program is a worker. It reads one JSON request per line from standard input, and writes one JSON answer per line to standard
output. It imports the agent once and loads every file in its own fork, so that a file has no effect on the next one.
"""

import json
import os
import pathlib
import socket
import sys
import tempfile
import types
import typing

import yaml


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="toolset-agent-") as folder:
        work(pathlib.Path(folder))


def work(folder: pathlib.Path) -> None:
    location = folder / "custom_toolset.yaml"
    # The agent reads these variables when it is imported.
    os.environ["CUSTOM_TOOLSET_LOCATION"] = str(location)
    os.environ["HOLMES_CONFIGPATH_DIR"] = str(folder)
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    answers = os.fdopen(os.dup(1), "w")
    log = os.open(folder / "agent.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import holmes.config  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        location.write_text(request["file"], encoding="utf-8")
        answers.write(in_a_fork(request) + "\n")
        answers.flush()


def in_a_fork(request: dict) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = load(request)
        except BaseException as error:  # the parent process reports every error
            answer = {"broken": f"{type(error).__name__}: {error}"}
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def load(request: dict) -> dict:
    """Returns `refused` if the agent rejects the whole file, otherwise its entries."""
    from holmes.config import Config

    os.environ.update(request["env"])
    redirect(request["hosts"])
    try:
        executor = Config().create_server_tool_executor(None)
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    file = yaml.safe_load(request["file"])
    written = {**(file.get("toolsets") or {}), **(file.get("mcp_servers") or {})}
    servers = file.get("mcp_servers") or {}
    loaded = {toolset.name: toolset for toolset in executor.toolsets}
    entries = {}
    for name, entry in written.items():
        if name not in loaded:
            entries[name] = {"status": "absent"}
            continue
        entries[name] = describe(loaded[name], entry, name in servers)
    return {
        "entries": entries,
        "tools": {name: owner.name for name, owner in executor._tool_to_toolset.items()},
        "calls": [call(executor, **one) for one in request["calls"]],
    }


def call(executor: typing.Any, tool: str, params: dict) -> dict:
    """Calls a tool as the model does."""
    from holmes.core.tools import ToolInvokeContext

    # The agent asks the model for the size of an answer. Here every answer is small enough.
    tokens = types.SimpleNamespace(total_tokens=1, tools_tokens=0, system_tokens=0, tools_to_call_tokens=0)
    model = types.SimpleNamespace(count_tokens=lambda *_, **__: tokens, get_context_window_size=lambda: 100_000)
    context = ToolInvokeContext.model_construct(
        llm=model, max_token_count=100_000, tool_call_id="1", tool_name=tool, user_approved=True, request_context=None
    )
    result = executor.tools_by_name[tool].invoke(params, context)
    return {"status": result.status.value, "error": result.error, "data": str(result.data)}


def describe(toolset: typing.Any, entry: dict, is_server: bool) -> dict:
    instances = {name: None for name in getattr(toolset, "_instance_configs", {})}
    instances.update(getattr(toolset, "_offline_instances", {}))
    return {
        "status": toolset.status.value,
        "error": toolset.error,
        "type": toolset.type.value if toolset.type else None,
        "description": toolset.description,
        "instructions": toolset.llm_instructions,
        "tools": [tool.name for tool in toolset.tools],
        "instances": instances,
        "unknown": unknown_keys(toolset, entry.get("config") or {}, is_server),
    }


def redirect(hosts: dict) -> None:
    """Redirects every `host:port` of `hosts` to a local port. Other host names cannot be resolved."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host, port, *arguments, **named):
        host = host.decode() if isinstance(host, bytes) else host
        if host in ("127.0.0.1", "localhost", "::1"):
            return resolve(host, port, *arguments, **named)
        local = hosts.get(f"{host}:{port}")
        if local is None:
            raise socket.gaierror(socket.EAI_NONAME, f"the agent must not call {host}:{port}")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", local))]

    socket.getaddrinfo = getaddrinfo


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


if __name__ == "__main__":
    main()
