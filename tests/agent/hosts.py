"""Redirects the host names of a cluster to local ports."""

import socket

RESOLVE = socket.getaddrinfo


def redirect(hosts: dict) -> None:
    """Redirects every `host:port` of `hosts` to a local port. Other host names cannot be resolved."""

    def getaddrinfo(host, port, *arguments, **named):
        host = host.decode() if isinstance(host, bytes) else host
        if host in ("127.0.0.1", "localhost", "::1"):
            return RESOLVE(host, port, *arguments, **named)
        local = hosts.get(f"{host}:{port}")
        if local is None:
            raise socket.gaierror(socket.EAI_NONAME, f"the agent must not call {host}:{port}")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", local))]

    socket.getaddrinfo = getaddrinfo
