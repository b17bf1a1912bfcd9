"""Roles, and who a request comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


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


@dataclass(frozen=True)
class Principal:
    """Who a request comes from, as far as that is known for certain.

    Attributes:
        name: the name under which labels and the audit log keep what was done.
        role: what they may do.
        how: how they were recognised: ``loopback`` (nobody was asked), ``token``, ``cookie``, ``oidc``.
    """

    name: str
    role: Role
    how: str


#: Who works at a server that only this computer can reach and that asks for no sign-in.
LOCAL = Principal("local", Role.ADMIN, "loopback")
