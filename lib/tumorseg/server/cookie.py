"""The cookie that keeps a browser signed in: out of reach of scripts, sent by our own pages only."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope


def name(scope: Scope) -> str:
    """Return the cookie's name: one a port, which browsers do not tell apart, and host-bound under https."""
    port = Headers(scope=scope).get("host", "").rpartition(":")[2]
    prefix = "__Host-" if scope.get("scheme") == "https" else ""
    return f"{prefix}tumorseg{f'-{port}' if port.isdigit() else ''}"


def read(scope: Scope) -> str | None:
    """Return the token that a browser sends."""
    header = Headers(scope=scope).get("cookie", "")
    return cookie_parser(header).get(name(scope)) or None


def give(response: Response, scope: Scope, token: str, lasts_s: int) -> None:
    """Have the browser keep a token."""
    secure = scope.get("scheme") == "https"
    response.set_cookie(name(scope), token, max_age=lasts_s, path="/", secure=secure, httponly=True, samesite="strict")


def take(response: Response, scope: Scope) -> None:
    """Have the browser forget it."""
    secure = scope.get("scheme") == "https"
    response.delete_cookie(name(scope), path="/", secure=secure, httponly=True, samesite="strict")
