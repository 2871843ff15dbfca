"""Loads toolset files with the server code of the agent, and describes the result.

This program is a worker. It reads one JSON request per line from standard input, and writes one JSON answer per line to standard
output. It imports the agent once and handles every request in its own fork, so that a file has no effect on the next one.

The kinds of requests are the functions in `KINDS`. `load` starts a server with one file. `refresh` starts a server with the first file
and then, for every further file, does what the server does every 5 minutes.
"""

import copy
import json
import os
import pathlib
import sys
import tempfile
import types
import typing

import yaml

from config_keys import unknown_keys
from hosts import redirect


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
    import_once()
    for line in sys.stdin:
        answers.write(in_a_fork(json.loads(line), location) + "\n")
        answers.flush()


def import_once() -> None:
    """Imports everything that a request needs, because a fork would import it again for every request."""
    import holmes.core.conversations  # noqa: F401
    import holmes.plugins.toolsets

    read_once(str(pathlib.Path(holmes.plugins.toolsets.__file__).parent))
    holmes.plugins.toolsets.load_builtin_toolsets(None, None)


def read_once(folder: str) -> None:
    """Reads every YAML file in `folder` once. The agent reads its own toolsets at every start, which is most of its work."""
    read, known = yaml.safe_load, {}

    def safe_load(stream: typing.Any) -> typing.Any:
        path = getattr(stream, "name", None)
        if not isinstance(path, str) or not path.startswith(folder):
            return read(stream)
        if path not in known:
            known[path] = read(stream)
        return copy.deepcopy(known[path])

    yaml.safe_load = safe_load


def in_a_fork(request: dict, location: pathlib.Path) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            os.environ.update(request["env"])
            redirect(request["hosts"])
            answer = KINDS[request["kind"]](request, location)
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


def load(request: dict, location: pathlib.Path) -> dict:
    """Returns `refused` if the agent rejects the whole file, otherwise its entries."""
    location.write_text(request["file"], encoding="utf-8")
    server = Server()
    try:
        executor = server.executor()
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
        entries[name] = describe(loaded[name])
        entries[name]["unknown"] = unknown_keys(loaded[name], entry.get("config") or {}, name in servers)
    return {
        "entries": entries,
        "tools": {name: owner.name for name, owner in executor._tool_to_toolset.items()},
        "prompt": server.prompt(),
        "calls": [call(executor, **one) for one in request["calls"]],
    }


def refresh(request: dict, location: pathlib.Path) -> dict:
    """Returns the toolsets that run after the start with the first file and after each refresh. None is no file."""
    server, steps, running = Server(), [], None
    for step in request["steps"]:
        if step["file"] is None:
            location.unlink(missing_ok=True)
        else:
            # The kubelet replaces the file as a whole.
            new = location.with_suffix(".new")
            new.write_text(step["file"], encoding="utf-8")
            new.replace(location)
        refused = None
        try:
            if running is not None:
                server.refresh()
        except Exception as error:
            refused = f"{type(error).__name__}: {error}"
        executor = server.executor()
        steps.append(
            {
                "refused": refused,
                "swapped": executor is not running,
                "entries": {one.name: describe(one) for one in executor.toolsets if one.enabled},
                "prompt": server.prompt(),
                "calls": [call(executor, **one) for one in step["calls"]],
            }
        )
        running = executor
    return {"steps": steps}


def info(request: dict, location: pathlib.Path) -> dict:
    """Returns what happens to the toolsets that run if a route of the server asks for them."""
    from holmes.common.env_vars import TOOLSET_STATUS_REFRESH_INTERVAL_SECONDS

    location.write_text(request["file"], encoding="utf-8")
    server = Server()
    running = server.executor()
    server.ask()
    return {
        "own_method": server.has_own_method,
        "replaced": server.executor() is not running,
        "refresh_interval": TOOLSET_STATUS_REFRESH_INTERVAL_SECONDS,
    }


class Server:
    """The part of the agent's server that keeps toolsets. The server program itself is not in the package of the agent."""

    def __init__(self) -> None:
        from holmes.config import Config
        from holmes.core.tools import PrerequisiteCacheMode, ToolsetTag

        self._config = Config()
        self._tags = {"toolset_tag_filter": [ToolsetTag.CORE, ToolsetTag.CLUSTER], "enable_all_toolsets_possible": False}
        self._build = {**self._tags, "prerequisite_cache": PrerequisiteCacheMode.DISABLED, "reuse_executor": True}

    def executor(self) -> typing.Any:
        """The toolsets for the next chat. The first call builds them."""
        if self.has_own_method:
            return self._config.create_server_tool_executor(None)
        return self._config.create_tool_executor(None, **self._build)

    @property
    def has_own_method(self) -> bool:
        return hasattr(self._config, "create_server_tool_executor")

    def ask(self) -> None:
        """What `GET /api/info` does, as read in the repository of the agent."""
        if self.has_own_method:
            self._config.create_server_tool_executor(None)
        else:
            self._config.create_tool_executor(None, reuse_executor=True)

    def refresh(self) -> None:
        """What the server does every TOOLSET_STATUS_REFRESH_INTERVAL_SECONDS."""
        self._config.refresh_tool_executor(None, **self._tags)

    def prompt(self) -> str:
        """The system prompt of the next chat."""
        from holmes.core.conversations import build_chat_messages

        model = types.SimpleNamespace(tool_executor=self.executor())
        return build_chat_messages("What is wrong?", None, model, self._config)[0]["content"]


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


def describe(toolset: typing.Any) -> dict:
    answering = getattr(toolset, "_instance_configs", {})
    instances = {name: None for name in answering}
    instances.update(getattr(toolset, "_offline_instances", {}))
    return {
        "status": toolset.status.value,
        "error": toolset.error,
        "type": toolset.type.value if toolset.type else None,
        "description": toolset.description,
        "instructions": toolset.llm_instructions,
        "tools": [tool.name for tool in toolset.tools],
        "instances": instances,
        "urls": {name: url(config) for name, config in answering.items()},
    }


def url(config: dict) -> str | None:
    return config.get("prometheus_url") or config.get("api_url")


KINDS = {"load": load, "refresh": refresh, "info": info}

if __name__ == "__main__":
    main()
