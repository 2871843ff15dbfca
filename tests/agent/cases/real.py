"""The agent queries a real Prometheus and a real Alertmanager."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

from cluster import product, toolset_config
from world import Skipped, World

ALERTMANAGER = "v0.28.1"
# In seconds. The deadline is long, because the machine may be busy.
DEADLINE = 60


def the_real_prometheus_and_alertmanager_answer_through_the_agent(world: World) -> None:
    with contextlib.ExitStack() as stack:
        prometheus_port, alertmanager_port = free_port(), free_port()
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="toolset-agent-")))
        (folder / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
        (folder / "prometheus.yml").write_text(
            f"scrape_configs: [{{job_name: self, scrape_interval: 1s, static_configs: [{{targets: ['127.0.0.1:{prometheus_port}']}}]}}]\n"
        )
        start(
            stack,
            alertmanager_port,
            "/-/ready",
            alertmanager(),
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/alerts",
            "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{alertmanager_port}",
            "--web.route-prefix=/",
        )
        start(
            stack,
            prometheus_port,
            "/-/ready",
            prometheus(),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/series",
            f"--web.listen-address=127.0.0.1:{prometheus_port}",
        )
        until(lambda: '"value"' in get(prometheus_port, "/api/v1/query?query=up"), "Prometheus has scraped itself")
        alert = [{"labels": {"alertname": "ShopIsClosed"}}]
        post(alertmanager_port, "/api/v2/alerts", alert)
        until(lambda: "ShopIsClosed" in get(alertmanager_port, "/api/v2/alerts"), "Alertmanager has the alert")

        url = "http://alertmanager.observability.svc.cluster.local:9093/api/v2/alerts"
        calls = [
            {"tool": "execute_prometheus_instant_query", "params": {"query": "up", "description": "what is up"}},
            {"tool": "alertmanager_observability_alertmanager_request", "params": {"url": url}},
        ]
        ports = {"observability/prometheus-server": prometheus_port, "observability/alertmanager": alertmanager_port}
        loaded = world.load(
            [product("Prometheus"), product("Alertmanager"), toolset_config()], ports=ports, calls=calls
        )
        loaded.all_instances_answer()
        metrics, alerts = loaded.answer["calls"]
        assert metrics["status"] == "success" and f"127.0.0.1:{prometheus_port}" in metrics["data"], metrics
        assert alerts["status"] == "success" and "ShopIsClosed" in alerts["data"], alerts


def prometheus() -> pathlib.Path:
    """The installed Prometheus, or the Debian package unpacked into the cache, which does not require root."""
    installed = pathlib.Path("/usr/bin/prometheus")
    if installed.is_file():
        return installed
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Skipped(f"{installed} does not exist, and apt-get or dpkg-deb is missing to fetch its package")
    folder = cache("debian", "prometheus")
    unpacked = folder / "usr/bin/prometheus"
    if not unpacked.is_file():
        with tempfile.TemporaryDirectory(dir=folder) as download:
            command = ["apt-get", "download", "prometheus"]
            fetched = subprocess.run(command, cwd=download, capture_output=True, text=True, check=False)
            archives = list(pathlib.Path(download).glob("*.deb"))
            if fetched.returncode != 0 or not archives:
                raise Skipped(
                    f"apt-get cannot download prometheus; run apt-get update and try again: {fetched.stderr.strip()[-200:]}"
                )
            subprocess.run(["dpkg-deb", "-x", archives[0], folder], check=True)
    return unpacked


def alertmanager() -> pathlib.Path:
    """The installed Alertmanager, or one built from its Go module. Debian's package needs its templates in /usr/share."""
    installed = pathlib.Path("/usr/bin/prometheus-alertmanager")
    if installed.is_file():
        return installed
    if not shutil.which("go"):
        raise Skipped(f"{installed} does not exist, and go is missing to build Alertmanager")
    folder = cache("tools", f"alertmanager-{ALERTMANAGER}")
    built = folder / "alertmanager"
    if not built.is_file():
        module = f"github.com/prometheus/alertmanager/cmd/alertmanager@{ALERTMANAGER}"
        env = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
        done = subprocess.run(["go", "install", module], env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skipped(f"go cannot build {module}: {done.stderr.strip()[-200:]}")
    return built


def cache(*parts: str) -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base, "toolset-operator", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def start(stack: contextlib.ExitStack, port: int, ready: str, *command: object) -> None:
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)
    until(lambda: process.poll() is not None or get(port, ready), f"{command[0]} is ready")
    assert process.poll() is None, f"{command[0]} stopped unexpectedly"


def until(condition: object, what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"timed out after {DEADLINE} s: {what}")


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def post(port: int, path: str, body: object) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=5).close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
