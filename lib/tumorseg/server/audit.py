"""The one place that records requests: every one whose rule has an action, with what came of it.

What changes something is recorded twice: that it is about to happen, on the disk before the route runs (where that
cannot be written the request is refused with 503 and nothing has changed), and what came of it. An intent that nothing
follows is a server that was killed in between. Looking is recorded once, a moment later
(:mod:`tumorseg.audit.buffer`), and is not refused where the log cannot be written. Requests that were refused for who
asked are recorded too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.types import Scope

from tumorseg.access.types import Principal, Role
from tumorseg.audit.buffer import AuditBuffer
from tumorseg.audit.log import AuditError, AuditLog, Event
from tumorseg.audit.read import Wanted, moment, records
from tumorseg.audit.record import INTENT
from tumorseg.server.observe import Exchange, principal
from tumorseg.server.rules import Rule, rule, rule_of

router = APIRouter(tags=["administration"])

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Actions that change nothing though they are no GET.
_LOOKS = frozenset({"infer", "sample.next"})
_REFUSED = frozenset({401, 403})
_REFUSED_ACTION = "access.refused"
#: Answers about an image that there is not, or about no image.
_NOTHING_THERE = frozenset({400, 404, 422})
_NOTE = "audit_note"
_PAGE = 1000


@dataclass(frozen=True)
class Subject:
    """What a request is about, as far as its address says."""

    image: str | None = None
    study: str = ""
    label: str = ""


class Trail:
    """Records the requests of one server.

    Args:
        log: where to.
        addresses: whether the clients' addresses are kept.
    """

    def __init__(self, log: AuditLog, *, addresses: bool = True) -> None:
        self.log = log
        self.buffer = AuditBuffer(log)
        self._addresses = addresses

    async def intend(self, request: Request) -> None:
        """Record that a request that may change something is about to run; AuditError refuses it."""
        asked = rule_of(request.scope.get("endpoint"))
        if asked is None or asked.role is None or not changes(request.method, asked):
            return
        event = self._event(request.scope, principal(request.scope), str(asked.action))
        await run_in_threadpool(self.log.append, [replace(event, phase=INTENT, status=0)])

    def keep(self, exchange: Exchange) -> None:
        """Record what came of a request."""
        asked, status = exchange.rule, exchange.status
        if asked is None or asked.action is None or status == 405:
            if status in _REFUSED:
                self.buffer.add(
                    _plain(replace(self._event(exchange.scope, exchange.who, _REFUSED_ACTION), status=status))
                )
            return
        event = replace(self._event(exchange.scope, exchange.who, asked.action), status=status)
        refused = status in _REFUSED or (asked.role is None and status >= 400)
        every = changes(exchange.method, asked) and not refused
        if not every and (exchange.who is None or status in _NOTHING_THERE):
            event = _plain(event)
        self.buffer.add(event, every=every)

    def image_name(self, scope: Scope) -> str:
        """Return what a log line may say of the image that a request is about."""
        return self.said_name(subject(scope).image)

    def said_name(self, image: str | None) -> str:
        """Return what a log line may say of an image."""
        try:
            return self.log.image_name(image)
        except AuditError:
            return "(an image)"

    def close(self) -> None:
        """Write what waits and close the log."""
        self.buffer.close()
        self.log.close()

    def _event(self, scope: Scope, who: Principal | None, action: str) -> Event:
        about, state = subject(scope), scope.get("state", {})
        said: Mapping[str, Any] = state.get(_NOTE, {})
        client = scope.get("client")
        return Event(
            who=said.get("who") or (who.name if who else ""),
            role=who.role.title if who else "",
            how=who.how if who else "",
            action=action,
            image=said.get("image") or about.image,
            study=said.get("study") or about.study,
            label=said.get("label") or about.label,
            request=str(state.get("request_id", "")),
            address=str(client[0]) if client and self._addresses else "",
            detail=said.get("detail"),
        )


def _plain(event: Event) -> Event:
    """Leave out what was asked for where that is anybody's invention: each one would be a record of its own."""
    return replace(event, image=None, study="", label="")


def note(
    request: Request,
    *,
    who: str | None = None,
    image: str | None = None,
    study: str | None = None,
    label: str | None = None,
    **detail: Any,
) -> None:
    """Let a route say what its address does not: the uid of the version it made, which case it gave out.

    Never a patient's name or id, a password or a token.
    """
    known = dict(getattr(request.state, _NOTE, {}))
    known |= {
        key: value for key, value in {"who": who, "image": image, "study": study, "label": label}.items() if value
    }
    if detail:
        known["detail"] = {**known.get("detail", {}), **detail}
    setattr(request.state, _NOTE, known)


def changes(method: str, asked: Rule) -> bool:
    """Tell whether a request may change something."""
    return asked.action is not None and method not in _SAFE_METHODS and asked.action not in _LOOKS


def subject(scope: Scope) -> Subject:
    """Read from an address which image, study and label version it is about."""
    named: dict[str, str] = {**_archive(scope), **{k: str(v) for k, v in scope.get("path_params", {}).items()}}
    asked = QueryParams(scope.get("query_string", b""))
    image = named.get("image") or named.get("series") or asked.get("image")
    if not image and "/datastore/" in scope["path"]:
        image = asked.get("id") or asked.get("label")
    return Subject(image or None, named.get("study", ""), named.get("uid") or asked.get("uid", ""))


def _archive(scope: Scope) -> dict[str, str]:
    """Read study and series from the path that is passed on to an archive."""
    parts = str(scope.get("path_params", {}).get("path", "")).split("/")
    found = {"study": parts[1] if parts[0] == "studies" and len(parts) > 1 else ""}
    found["series"] = parts[3] if len(parts) > 3 and parts[2] == "series" else ""
    return {level: uid for level, uid in found.items() if uid}


async def intend(request: Request) -> None:
    """As a dependency of the whole application: see :meth:`Trail.intend`."""
    trail: Trail = request.app.state.trail
    await trail.intend(request)


@router.get("/audit/", summary="Who saw and changed what, newest first")
@rule(Role.ADMIN, "audit.read")
def show(
    request: Request,
    since: str = "",
    until: str = "",
    who: str = "",
    image: str = "",
    action: str = "",
    before: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=_PAGE)] = 100,
) -> dict[str, Any]:
    """Return a page of records; ``next`` is the ``before`` of the next one, null at the end."""
    log: AuditLog = request.app.state.audit
    log.head()  # makes the log where nothing was recorded yet
    wanted = Wanted(who, action, image, moment(since), moment(until), before, limit + 1)
    found = records(log.folder, wanted)
    more = len(found) > limit
    return {
        "records": [record.as_json() for record in found[:limit]],
        "next": found[limit - 1].seq if more else None,
    }
