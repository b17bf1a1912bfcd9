"""Finds out who asks, before any route runs; what they may do the routes' rules say (:mod:`tumorseg.server.rules`).

Plain ASGI. ``scope["state"]`` gets ``principal`` (None where nobody is known) and, where what was shown does not
count, ``refusal``, the error that a route which needs somebody answers with.

Concurrency: looking a token up is one indexed read of a local file and happens in the event loop; what may ask the
sign-in provider happens in threads of its own, so that a provider that hangs holds up nobody else.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tumorseg.access.errors import ForbiddenError, UnauthenticatedError
from tumorseg.access.gate import Access
from tumorseg.access.types import Principal
from tumorseg.errors import UnavailableError
from tumorseg.server import cookie

#: Tokens that are checked with the provider at the same time.
_AT_ONCE = 8
DOWNLOAD = "/datastore/image"


class WhoAsks:
    """The middleware."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access
        self._limiter: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note who asks and pass the request on."""
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            state["principal"] = None
            try:
                state["principal"] = await self._who(scope)
            except (UnauthenticatedError, ForbiddenError, UnavailableError) as error:
                state["refusal"] = error
        await self.app(scope, receive, send)

    async def _who(self, scope: Scope) -> Principal | None:
        if not self.access.required:
            return self.access.identify(None, None)
        bearer = _bearer(scope)
        if bearer is not None and self.access.is_slow(bearer):
            self._limiter = self._limiter or CapacityLimiter(_AT_ONCE)
            return await to_thread.run_sync(self.access.identify, bearer, None, limiter=self._limiter)
        return self.access.identify(bearer, cookie.read(scope)) or self._downloading(scope)

    def _downloading(self, scope: Scope) -> Principal | None:
        """Know a download that was allowed with the answer to "next image"."""
        if scope["method"] != "GET" or scope["path"] != DOWNLOAD:
            return None
        images = parse_qs(scope["query_string"].decode("latin-1")).get("image", [])
        return self.access.downloads.take(address(scope), images[0]) if len(images) == 1 else None


def address(scope: Scope) -> str:
    """Return the address of who asks; of a trusted proxy it is the one that the proxy names."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _bearer(scope: Scope) -> str | None:
    """Return the token of the ``Authorization`` header, None without the header."""
    said = Headers(scope=scope).getlist("authorization")
    if not said:
        return None
    scheme, _, token = said[0].strip().partition(" ")
    if len(said) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("expected one header 'Authorization: Bearer TOKEN'")
    return token.strip()
