"""What every request passes first and last: it gets its id, and what came of it is told to those who keep it.

Plain ASGI: the answer is passed on piece by piece and a client that hangs up is noticed by the routes below. What is
told is an :class:`Exchange`; it names the route's template and never the address, whose query may name patients.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tumorseg.access.types import Principal
from tumorseg.server import request_id
from tumorseg.server.rules import Rule, rule_of

logger = logging.getLogger(__name__)

#: Stands for the template of an address that is no route's.
UNMATCHED = "(none)"
#: The status of a request whose client hung up before there was an answer (nginx counts it so too).
HUNG_UP = 499
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


@dataclass(frozen=True)
class Exchange:
    """A request and what came of it.

    Attributes:
        id: the request id.
        method: HTTP method; ``other`` for what nobody knows.
        route: the route's template, such as ``/infer/{model}``, or :data:`UNMATCHED`.
        rule: what the route asks for, None where there is no route.
        status: HTTP status of the answer.
        seconds: from the first byte of the request's head to the last byte of the answer.
        sent: bytes of the answer's body.
        who: who asked, None where that was never found out.
        address: the client's address.
        scope: the request itself, for who needs its parameters.
    """

    id: str
    method: str
    route: str
    rule: Rule | None
    status: int
    seconds: float
    sent: int
    who: Principal | None
    address: str
    scope: Scope = field(repr=False)


Listener = Callable[[Exchange], None]


class Observe:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, listeners: Sequence[Listener] = ()) -> None:
        self.app = app
        self.listeners = tuple(listeners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        ident = request_id.chosen(Headers(scope=scope).get(request_id.HEADER, ""))
        scope.setdefault("state", {})["request_id"] = ident
        token = request_id.current.set(ident)
        answer = _Answer(ident, send)
        begin = time.perf_counter()
        try:
            await self.app(scope, receive, answer)
        except Exception:
            answer.status = answer.status or 500
            raise
        finally:
            self._tell(_exchange(scope, answer, time.perf_counter() - begin))
            request_id.current.reset(token)

    def _tell(self, exchange: Exchange) -> None:
        """Tell the listeners; what goes wrong there is no reason to break an answer that was sent."""
        for listener in self.listeners:
            try:
                listener(exchange)
            except Exception:
                logger.exception("what came of a request could not be kept")


class _Answer:
    """Passes an answer on, puts the id into it, and notes status and size."""

    def __init__(self, ident: str, send: Send) -> None:
        self._ident, self._send = ident, send
        self.status = 0
        self.sent = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            MutableHeaders(scope=message)[request_id.HEADER] = self._ident
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)


def _exchange(scope: Scope, answer: _Answer, seconds: float) -> Exchange:
    state: dict[str, Any] = scope.get("state", {})
    client = scope.get("client")
    method = str(scope["method"])
    return Exchange(
        id=state["request_id"],
        method=method if method in _METHODS else "other",
        route=template(scope),
        rule=rule_of(scope.get("endpoint")),
        status=answer.status or HUNG_UP,
        seconds=seconds,
        sent=answer.sent,
        who=principal(scope),
        address=str(client[0]) if client else "",
        scope=scope,
    )


def template(scope: Scope) -> str:
    """Return the template of the route that took a request: one for all images and all UIDs."""
    # FastAPI keeps the route of an included router, with all prefixes, beside the router's own.
    found = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(found, "path", "") or UNMATCHED)


def principal(scope: Scope) -> Principal | None:
    """Return who asks, None where that is not known."""
    found: Principal | None = scope.get("state", {}).get("principal")
    return found
