"""Roles, and who a request comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from tumorseg.errors import InputError

#: Names are kept with labels and in logs, and are typed: letters, digits and a few signs.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


class Role(IntEnum):
    """What somebody may do; each role may also do what those before it may."""

    VIEWER = 1
    ANNOTATOR = 2
    REVIEWER = 3
    ADMIN = 4

    @property
    def title(self) -> str:
        """The name in lower case, as it is typed and stored."""
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Role:
        """Read a role as it is typed; raise InputError for anything else."""
        try:
            return cls[text.strip().upper()]
        except KeyError:
            known = ", ".join(role.title for role in cls)
            raise InputError(f"expected a role ({known}), got {text[:40]!r}") from None


@dataclass(frozen=True)
class Principal:
    """Who a request comes from, as far as that is known for certain.

    Attributes:
        name: the name under which labels and the audit log keep what was done.
        role: what they may do.
        how: how they were recognised: ``loopback`` (nobody was asked), ``token``, ``cookie``, ``oidc``, ``download``
            (see :mod:`tumorseg.access.downloads`).
    """

    name: str
    role: Role
    how: str


#: Names that labels keep for something else than a person.
RESERVED = frozenset({"local", "consensus", "unknown"})
#: Who works at a server that only this computer can reach and that asks for no sign-in.
LOCAL = Principal("local", Role.ADMIN, "loopback")


def is_name(text: str) -> bool:
    """Tell whether somebody may be called so."""
    return bool(_NAME.fullmatch(text)) and text.lower() not in RESERVED
