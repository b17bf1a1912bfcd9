"""Answers under the server's own names and to its own pages only.

``Host``: a page elsewhere may have its own name resolve to this server's address (DNS rebinding) and would then be of
the same origin as we are. An address in numbers cannot be rebound, so it is taken; a name must be one of ours.

``Origin`` and ``Sec-Fetch-*``: browsers say from which page a request comes. What changes something must come from
ours; what reads may also be a link that somebody follows. Programs, Slicer among them, send none of these headers: a
page cannot make a browser leave them out.

A server that asks nobody to sign in also refuses what a proxy passed on: who is behind it could be anybody.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_READS = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: What orchestrators ask from beside the proxy; the answers say nothing of anybody.
_PROBES = ("/healthz", "/readyz")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


def own_names(host: str, further: Iterable[str]) -> frozenset[str]:
    """Return the names under which this server may be called."""
    names = {"localhost", socket.gethostname(), host, *further}
    return frozenset(name.lower().rstrip(".") for name in names if name)


class SameOrigin:
    """The middleware.

    Args:
        app: what it stands before.
        names: the server's names, in lower case.
        is_open: tells whether nobody has to sign in.
        https_only: refuse what did not come by https: a trusted proxy speaks it, and nobody should get round it.
    """

    def __init__(
        self, app: ASGIApp, names: frozenset[str], is_open: Callable[[], bool], *, https_only: bool = False
    ) -> None:
        self.app, self.names, self.is_open, self.https_only = app, names, is_open, https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            why = self._objection(scope, headers)
            if why:
                await _refuse(send, *why)
                return
        await self.app(scope, receive, send)

    def _objection(self, scope: Scope, headers: Headers) -> tuple[HTTPStatus, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            named = hosts[0][:80] if hosts else "nothing"
            return HTTPStatus.BAD_REQUEST, f"this server is not called {named!r}: add the name by --allowed-host"
        if self.https_only and scope["scheme"] != "https" and scope["path"] not in _PROBES:
            return HTTPStatus.FORBIDDEN, "this server is reached by https, through its proxy"
        if not _from_own_page(scope, headers, hosts[0]):
            return HTTPStatus.FORBIDDEN, "requests from pages of other servers are not answered"
        if any(name in headers for name in _FORWARDED) and self.is_open():
            return HTTPStatus.FORBIDDEN, (
                "this request came through a proxy, and this server asks nobody to sign in: "
                "start it with --auth required and --behind-proxy"
            )
        return None

    def _is_ours(self, host: str) -> bool:
        name = _split(host)[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True


def _from_own_page(scope: Scope, headers: Headers, host: str) -> bool:
    """Tell whether a request comes from our page, from a person, or from a program that is no browser."""
    origin = headers.get("origin")
    if scope["method"] not in _READS:
        fetched = headers.get("sec-fetch-site", "none")
        return fetched in ("same-origin", "none") and (origin is None or _is_same(origin, scope["scheme"], host))
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _is_same(origin: str, scheme: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        theirs = (parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme))
    except ValueError:
        return False
    name, port = _split(host)
    return theirs == (scheme, name, port or _DEFAULT_PORTS.get(scheme))


def _split(host: str) -> tuple[str, int | None]:
    """Return name and port of a ``Host`` header; an empty name for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.path or parts.query or parts.username is not None:
            return "", None
        return (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "", None


async def _refuse(send: Send, status: HTTPStatus, why: str) -> None:
    body = json.dumps({"detail": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
