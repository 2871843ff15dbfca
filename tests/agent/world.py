"""The environment of a test case: the operator, the agent, and the endpoints that the agent calls."""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import queue
import subprocess
import sys

import yaml

from backends import Backends
from cluster import REVISION, Operator

HERE = pathlib.Path(__file__).parent
# The version of the agent.
VERSION = tuple(int(part) for part in importlib.metadata.version("holmesgpt").split("."))


class Skipped(Exception):
    """A program that a case needs is missing."""


class Agents:
    """Processes of the agent. Each process loads one file at a time."""

    def __init__(self, count: int) -> None:
        self._free = queue.SimpleQueue()
        self._count = count

    def __enter__(self) -> "Agents":
        self._processes = [
            subprocess.Popen(
                [sys.executable, HERE / "agent.py"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=clean(),
            )
            for _ in range(self._count)
        ]
        for process in self._processes:
            self._free.put(process)
        return self

    def __exit__(self, *details: object) -> None:
        for process in self._processes:
            process.stdin.close()
            process.wait(timeout=60)

    def load(self, file: str, hosts: dict, env: dict, calls: list) -> dict:
        """Starts the agent with a file."""
        return self._ask(kind="load", file=file, hosts=hosts, env=env, calls=calls)

    def refresh(self, steps: list, hosts: dict, env: dict) -> list:
        """Starts the agent with the file of the first step, and refreshes it with the file of every further step."""
        return self._ask(kind="refresh", steps=steps, hosts=hosts, env=env)["steps"]

    def info(self, file: str, hosts: dict) -> dict:
        """Starts the agent with a file, and asks for its toolsets as `GET /api/info` does."""
        return self._ask(kind="info", file=file, hosts=hosts, env={})

    def _ask(self, **request: object) -> dict:
        process = self._free.get()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline() or '{"broken": "it ended without an answer"}')
        finally:
            self._free.put(process)
        if "broken" in answer:
            raise RuntimeError(f"the agent broke: {answer['broken']}")
        return answer


def clean() -> dict:
    """An environment in which the agent finds no cluster and no endpoints."""
    found = ("PROMETHEUS_", "HOLMES_", "KUBE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY")
    env = {name: value for name, value in os.environ.items() if not name.startswith(found)}
    return {**env, "KUBECONFIG": "/nonexistent", "PYTHONPATH": str(HERE)}


@dataclasses.dataclass
class Loaded:
    """A file of the operator that the agent has loaded."""

    file: str
    notes: str
    answer: dict

    @property
    def parsed(self) -> dict:
        return yaml.safe_load(self.file)

    @property
    def toolsets(self) -> dict:
        """The entries of `toolsets` as they are written, without the revision."""
        return {name: entry for name, entry in self.parsed["toolsets"].items() if not name.startswith(REVISION)}

    @property
    def entries(self) -> dict:
        """The entries as the agent loaded them. Fails if the agent refused the file."""
        assert "refused" not in self.answer, f"the agent refused the file: {self.answer['refused']}\n{self.file}"
        return self.answer["entries"]

    @property
    def prompt(self) -> str:
        """The system prompt of the next chat."""
        return self.answer["prompt"]

    def entry(self, name: str) -> dict:
        assert name in self.entries, f"there is no entry {name}, only {sorted(self.entries)}"
        return self.entries[name]

    def all_enabled(self) -> "Loaded":
        """Checks every entry except kubernetes/core, because that needs kubectl."""
        for name, entry in self.entries.items():
            if name != "kubernetes/core":
                assert entry["status"] == "enabled", f"{name} is {entry['status']}: {entry['error']}"
        return self

    def all_instances_answer(self) -> "Loaded":
        self.all_enabled()
        for name, entry in self.entries.items():
            for instance, why in entry["instances"].items():
                assert why is None, f"{name}: instance {instance} is offline: {why}"
        return self

    def sound(self) -> None:
        """Checks the rules for every file: the agent knows all keys, and the names of tools are unique and not too long."""
        for name, entry in self.entries.items():
            assert not entry.get("unknown"), f"{name} has keys that the agent does not know: {entry['unknown']}"
            for tool in entry.get("tools", []):
                assert len(tool) <= 64, f"{name}: {tool} has {len(tool)} characters"
                if entry["status"] == "enabled" and entry["type"] != "mcp":
                    owner = self.answer["tools"].get(tool)
                    assert owner == name, f"the tool {tool} of {name} is that of {owner}"


@dataclasses.dataclass
class Running:
    """The toolsets that run after the start of the agent or after a refresh."""

    file: str
    notes: str
    refused: str | None
    swapped: bool
    entries: dict
    prompt: str
    calls: list

    def urls(self, toolset: str) -> dict:
        """The URLs of the instances that answer."""
        return self.entries[toolset]["urls"]


class World:
    """The environment of one test case."""

    def __init__(self, operator: Operator, agents: Agents, backends: Backends) -> None:
        self.operator, self.agents, self.backends = operator, agents, backends
        self.report = []
        self.limits = []
        self.version = VERSION

    def load(
        self,
        objects: list,
        *,
        state: dict | None = None,
        ports: dict | None = None,
        env: dict | None = None,
        calls: list | None = None,
    ) -> Loaded:
        """Renders the objects and loads the file.

        `state` marks Services as `hung` or `dead`. All other Services answer. `ports` has the local ports of real servers. The
        key of both is `namespace/name`, or the host of a tool outside the cluster.
        """
        file, notes = self.operator.file(objects)
        return self.load_text(file, notes=notes, hosts=self.hosts(objects, state, ports), env=env, calls=calls)

    def hosts(self, objects: list, state: dict | None = None, ports: dict | None = None) -> dict:
        """The local port for the `host:port` of every tool. See `load`."""
        hosts = {}
        for tool in self.operator.tools(objects):
            scheme, _, rest = tool["endpoint"].partition("://")
            authority = rest.split("/", 1)[0]
            name = f"{tool['namespace']}/{tool['service']}" if tool["service"] else authority.rsplit(":", 1)[0]
            answering = self.backends.tls if scheme == "https" else self.backends.plain
            hosts[authority] = {
                None: (ports or {}).get(name, answering),
                "hung": self.backends.hung,
                "dead": self.backends.dead,
            }[(state or {}).get(name)]
        return hosts

    def refresh(self, versions: list, *, env: dict | None = None, calls: list | None = None) -> list[Running]:
        """Renders the objects of every version, and refreshes the agent with every file. `calls` has the calls after each."""
        files, hosts = [], {}
        for objects in versions:
            files.append(self.operator.file(objects))
            hosts.update(self.hosts(objects))
        return self.refresh_texts([file for file, _ in files], [notes for _, notes in files], hosts, env, calls)

    def refresh_texts(
        self,
        files: list,
        notes: list | None = None,
        hosts: dict | None = None,
        env: dict | None = None,
        calls: list | None = None,
    ) -> list[Running]:
        """Refreshes the agent with every text as a file."""
        calls = calls or [[] for _ in files]
        steps = [{"file": file, "calls": some} for file, some in zip(files, calls, strict=True)]
        answers = self.agents.refresh(steps, hosts or {}, env or {})
        together = zip(files, notes or [""] * len(files), answers, strict=True)
        return [Running(file=file, notes=said, **answer) for file, said, answer in together]

    def load_text(
        self,
        file: str,
        *,
        notes: str = "",
        hosts: dict | None = None,
        env: dict | None = None,
        calls: list | None = None,
    ) -> Loaded:
        """Loads a text as a file."""
        loaded = Loaded(file, notes, self.agents.load(file, hosts or {}, env or {}, calls or []))
        with contextlib.suppress(KeyError):
            for name, entry in loaded.answer["entries"].items():
                self.report.append((name, entry["status"], entry.get("unknown") or [], entry.get("instances") or {}))
            loaded.sound()
        return loaded

    def limit(self, text: str) -> None:
        """Says in the matrix of docs/compatibility.md what this version of the agent cannot do."""
        self.limits.append(text)

    def says(self, what: str) -> None:
        """Adds a line to the report."""
        self.report.append((what, "", [], {}))
