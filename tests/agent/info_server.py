"""Replicas of the agent, which answer `GET /api/info?detail=full` from the agent's own library.

The agent's server program is not in its Python package. This program has the same route, authentication and answer, and it takes the
toolsets from the library as the server does: `Config().create_server_tool_executor(None)`. The operator's tests start it with the
Python of the agent's virtual environment.

It reads one line per replica from standard input and writes the replica's port to standard output. Each replica is a fork, because the
agent reads the location of its toolset file when it is imported. All of them end when standard input ends.

A test controls a replica through these routes:

    POST /test/file      the body becomes the toolset file, as if the kubelet had updated the mounted ConfigMap
    POST /test/refresh   the agent reads the file again, as it does every five minutes
    POST /test/key       the body becomes the API key; an empty body removes it
    POST /test/hosts     the body is a JSON object of `host:port` and the local port that answers for it
    GET  /test/requests  the requests for /api/info so far
"""

import json
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time

from hosts import redirect

# The file of an agent that has just been installed.
EMPTY = "toolsets:\n  kubernetes/core:\n    enabled: false\n"


def main() -> None:
    os.environ["HOLMES_CONFIGPATH_DIR"] = tempfile.mkdtemp(prefix="toolset-agent-")
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    answers = os.fdopen(os.dup(1), "w")
    log = os.open(os.devnull, os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Imported once, because this takes seconds.
    import holmes.config  # noqa: F401

    for _ in sys.stdin:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        if os.fork() == 0:
            threading.Thread(target=end_with_parent, daemon=True).start()
            serve(listener)
            os._exit(0)
        answers.write(f"{listener.getsockname()[1]}\n")
        answers.flush()
        listener.close()
    # Threads of the agent's libraries would delay the end.
    os._exit(0)


def end_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def serve(listener: socket.socket) -> None:
    import holmes.core.toolset_manager
    import uvicorn
    from holmes.config import Config

    location = pathlib.Path(tempfile.mkdtemp(prefix="toolset-agent-")) / "custom_toolset.yaml"
    location.write_text(EMPTY, encoding="utf-8")
    holmes.core.toolset_manager.CUSTOM_TOOLSET_LOCATION = str(location)
    config = Config()
    config.create_server_tool_executor(None)
    server = uvicorn.Server(uvicorn.Config(app(config, location), log_level="critical"))
    server.run(sockets=[listener])


def app(config, location: pathlib.Path):
    import fastapi
    from fastapi.responses import JSONResponse
    from holmes import get_version
    from holmes.core.tools import SERVER_TOOLSET_TAGS
    from holmes.utils.auth import extract_api_key

    app = fastapi.FastAPI()
    state = {"key": "", "requests": [], "started": time.monotonic()}

    # These are no coroutines, so that a slow one does not hold up the others.
    @app.get("/api/info")
    def info(request: fastapi.Request, detail: str = ""):
        state["requests"].append({"query": str(request.url.query), "key": extract_api_key(request)})
        if state["key"] and extract_api_key(request) != state["key"]:
            return JSONResponse({"detail": "Invalid or missing API key"}, status_code=401)
        toolsets = config.create_server_tool_executor(None).toolsets
        answer = {
            "version": get_version(),
            "uptime_seconds": int(time.monotonic() - state["started"]),
            "auth_enabled": bool(state["key"]),
            "toolsets_summary": {
                "total": len(toolsets),
                **{status: sum(one.status.value == status for one in toolsets) for status in ("enabled", "failed", "disabled")},
            },
        }
        if detail == "full":
            answer["toolsets"] = [
                {
                    "name": toolset.name,
                    "enabled": toolset.enabled,
                    "status": toolset.status.value,
                    "type": toolset.type.value if toolset.type else None,
                    "error": toolset.error,
                    "tool_count": len(toolset.tools),
                }
                for toolset in toolsets
            ]
        return answer

    @app.post("/test/{what}")
    async def change(what: str, request: fastapi.Request):
        body = (await request.body()).decode()
        if what == "file":
            # Renamed, as the kubelet does it.
            new = location.with_suffix(".new")
            new.write_text(body, encoding="utf-8")
            new.rename(location)
        elif what == "refresh":
            config.refresh_tool_executor(toolset_tag_filter=SERVER_TOOLSET_TAGS, enable_all_toolsets_possible=False)
        elif what == "key":
            state["key"] = body
        elif what == "hosts":
            redirect(json.loads(body))
        return {}

    @app.get("/test/requests")
    def requests():
        return state["requests"]

    return app


if __name__ == "__main__":
    main()
