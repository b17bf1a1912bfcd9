"""Who may use a route, said where the route is written; a route that says nothing lets nobody in.

Every endpoint carries ``@rule(role, action)`` below its router decorator. :func:`enforced` is a dependency of the
whole application: it runs before any other code of the route. ``action`` is the word under which the audit log keeps
the request; None for what shows and changes nothing of a patient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from tumorseg.access.errors import ForbiddenError, UnauthenticatedError
from tumorseg.access.types import Principal, Role
from tumorseg.errors import TumorSegError

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_RULE = "__tumorseg_rule__"


@dataclass(frozen=True)
class Rule:
    """What a route asks for.

    Attributes:
        role: the least role; None lets everybody in, signed in or not.
        action: the word of the audit log, such as ``label.save``; None records nothing.
    """

    role: Role | None
    action: str | None = None


def rule(role: Role | None, action: str | None = None) -> Callable[[Endpoint], Endpoint]:
    """Say who may use an endpoint."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _RULE, Rule(role, action))
        return endpoint

    return mark


def rule_of(endpoint: object) -> Rule | None:
    """Return what an endpoint asks for, None where it says nothing."""
    found = getattr(endpoint, _RULE, None)
    return found if isinstance(found, Rule) else None


async def caller(request: Request) -> Principal:
    """Return who asks; at a server that asks for no sign-in everybody is :data:`tumorseg.access.types.LOCAL`."""
    return _who(request)


def known(request: Request) -> Principal | None:
    """Return who asks, None where that is not known (:mod:`tumorseg.server.who` finds it out)."""
    found: Principal | None = getattr(request.state, "principal", None)
    return found


def _who(request: Request) -> Principal:
    """Return who asks, or say why that is not known; without the middleware nobody is."""
    found = known(request)
    if found is None:
        refusal: TumorSegError | None = getattr(request.state, "refusal", None)
        raise refusal or UnauthenticatedError("sign in first")
    return found


#: A route's parameter of this type is who asks.
Caller = Annotated[Principal, Depends(caller)]


async def enforced(request: Request) -> None:
    """As a dependency: :func:`enforce`.

    Like every dependency that only looks something up it is ``async``: a plain function would wait for a free thread,
    and so would the quickest route while slow ones hold all of them.
    """
    enforce(request)


def enforce(request: Request) -> None:
    """Let nobody into a route who may not use it."""
    asked = rule_of(request.scope.get("endpoint"))
    if asked is None:
        raise ForbiddenError("this address is not open to anybody")
    if asked.role is None:
        return
    who = _who(request)
    if who.role < asked.role:
        raise ForbiddenError(f"this needs the role {asked.role.title}, {who.name} is {who.role.title}")
