"""Who may use which address, read from the rules that the addresses carry: for docs/security.md."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tumorseg.access.types import Role
from tumorseg.server.rules import Rule, rule_of

_EVERYBODY = "everybody"


def addresses(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, str, object]]:
    """Yield (method, address, endpoint) of every route, also of those in included routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if hasattr(route, "endpoint"):
            for method in sorted(route.methods):
                yield method, prefix + route.path, route.endpoint
        elif inner is not None:
            yield from addresses(inner.routes, prefix + route.include_context.prefix)
        else:
            raise TypeError(f"{route!r} is neither a route nor a router")


def table(routes: Iterable[Any]) -> list[tuple[str, str, str]]:
    """Return rows of (least role, word of the audit log, addresses), the lower roles first."""
    found: dict[Rule, set[str]] = defaultdict(set)
    for method, address, endpoint in addresses(routes):
        rule = rule_of(endpoint)
        if rule is not None:
            found[rule].add(f"{method} {_short(address)}")
    ordered = sorted(found, key=lambda rule: (rule.role or 0, rule.action or ""))
    return [
        (
            _role(rule.role),
            f"`{rule.action}`" if rule.action else "",
            ", ".join(f"`{one}`" for one in sorted(found[rule])),
        )
        for rule in ordered
    ]


def _short(address: str) -> str:
    """Write all of DICOMweb as one address, and parameters without their patterns."""
    return re.sub(r":path\}", "}", re.sub(r"^(/proxy/dicom)/.*", r"\1/…", address))


def _role(role: Role | None) -> str:
    return role.title if role else _EVERYBODY
