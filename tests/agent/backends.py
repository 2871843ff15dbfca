"""A local server that answers the requests of the agent like every product, and records them."""

import base64
import contextlib
import datetime
import http.server
import ipaddress
import json
import pathlib
import queue
import socket
import ssl
import tempfile
import threading
import urllib.parse

MCP_TOOLS = [{"name": "whatever", "description": "Answers.", "inputSchema": {"type": "object", "properties": {}}}]


class Backends:
    """All endpoints of a test. The Host header distinguishes them.

    `plain` and `tls` are the ports that answer. `hung` accepts connections and never answers. `dead` refuses connections.
    """

    def __init__(self) -> None:
        self.requests = []
        self.required = {}
        self.broken = {}
        self._lock = threading.Lock()
        self._streams = {}

    def __enter__(self) -> "Backends":
        self._stack = contextlib.ExitStack()
        self.plain = self._serve(None)
        self.tls = self._serve(self_signed())
        hung = self._stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        self.hung = hung.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as closed:
            self.dead = closed.getsockname()[1]
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def _serve(self, context: ssl.SSLContext | None) -> int:
        backends = self

        class Bound(Handler):
            def setup(self) -> None:
                self.backends = backends
                super().setup()

        server = Server(("127.0.0.1", 0), Bound)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.shutdown)
        return server.server_address[1]

    def require(self, authority: str, header: str, value: str) -> None:
        """Requires a header. Without it, `host:port` answers with status 401."""
        self.required.setdefault(authority, {})[header] = value

    def break_with(self, authority: str, status: int, body: str) -> None:
        """From now on `host:port` gives only this answer."""
        self.broken[authority] = status, body.encode()

    def remember(self, authority: str, method: str, path: str, headers: dict) -> None:
        with self._lock:
            self.requests.append({"authority": authority, "method": method, "path": path, "headers": headers})

    def seen(self, authority: str) -> list:
        """The recorded requests to `host:port`."""
        with self._lock:
            return [request for request in self.requests if request["authority"] == authority]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *details: object) -> None:
        """Ignores clients that close the connection. The agent reports incomplete answers."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._answer(200, b"")

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        authority = self.headers.get("Host", "")
        if ":" not in authority:
            authority += ":443" if isinstance(self.connection, ssl.SSLSocket) else ":80"
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.backends.remember(authority, self.command, url.path, headers)
        for name, value in self.backends.required.get(authority, {}).items():
            if headers.get(name.lower()) != value:
                self._answer(401, b'{"error": "who are you?"}')
                return
        if authority in self.backends.broken:
            self._answer(*self.backends.broken[authority])
        elif self.command == "POST" and self.headers.get("Content-Type", "").startswith("application/json"):
            self._mcp(url, json.loads(body))
        elif url.path.endswith("/sse"):
            self._sse()
        else:
            self._product(url.path)

    def _product(self, path: str) -> None:
        for end, answer in ANSWERS.items():
            if path.endswith(end) and "//" not in path:
                self._answer(200, json.dumps(answer).encode())
                return
        self._answer(404, b'{"error": "no such path"}')

    def _mcp(self, url: urllib.parse.SplitResult, message: dict) -> None:
        results = {
            "initialize": {
                "protocolVersion": message.get("params", {}).get("protocolVersion", "2025-03-26"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "fake", "version": "1"},
            },
            "tools/list": {"tools": MCP_TOOLS},
        }
        stream = urllib.parse.parse_qs(url.query).get("stream")
        result = results.get(message.get("method"))
        answer = None if result is None else json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result})
        if stream:
            if answer:
                self.backends._streams[stream[0]].put(answer)
            self._answer(202, b"")
        elif answer:
            self._answer(200, answer.encode())
        else:
            self._answer(202, b"")

    def _sse(self) -> None:
        messages = queue.Queue()
        name = str(id(messages))
        self.backends._streams[name] = messages
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(f"event: endpoint\ndata: /messages/?stream={name}\n\n".encode())
            # The client keeps this stream open and needs only these answers.
            for _ in ("initialize", "tools/list"):
                self.wfile.write(f"event: message\ndata: {messages.get(timeout=30)}\n\n".encode())
            self.connection.settimeout(30)
            self.rfile.read(1)
        self.close_connection = True

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)


STREAMS = {"status": "success", "data": {"resultType": "streams", "result": []}}
VECTOR = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]}}

# The answers by the end of the path, so that every prefix works.
ANSWERS = {
    "/loki/api/v1/query_range": STREAMS,
    "/loki/api/v1/status/buildinfo": {"version": "3"},
    "/api/v1/query": VECTOR,
    "/api/dashboards/tags": [],
    "/api/health": {"database": "ok"},
    "/api/search": {"traces": []},
    "/api/echo": "echo",
    "/_cluster/health": {"status": "green"},
    "/health": "OK",
    "/-/ready": "ready",
    "/api/services": {"data": []},
    "/api/v2/services": [],
    "/api/v2/status": {"cluster": {"status": "ready"}},
    "/api/status": {"status": {"overall": {"level": "available"}}},
}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def self_signed() -> ssl.SSLContext:
    """A self-signed certificate, which no client trusts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as folder:
        pem = pathlib.Path(folder, "pem")
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context
