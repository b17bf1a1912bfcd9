"""Tokens: random texts of which only a digest is kept.

They are random in 256 bits, so a plain SHA-256 is enough: there is nothing to guess, as there is in a password.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

#: How a personal token and that of a sign-in begin; a scanner for leaked secrets can look for it.
PERSONAL, SIGN_IN = "tsgp_", "tsgs_"
_PERSONAL = re.compile(rf"{PERSONAL}([0-9a-f]{{12}})_[A-Za-z0-9_-]{{43}}")
_SIGN_IN = re.compile(rf"{SIGN_IN}[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True)
class Secret:
    """A new token.

    Attributes:
        text: what its owner keeps; shown once, and in no representation of this object.
        digest: what is stored.
        prefix: by which a personal token is named in lists.
    """

    text: str = field(repr=False)
    digest: bytes = field(repr=False)
    prefix: str = ""


def personal() -> Secret:
    """Make a personal token."""
    prefix = secrets.token_hex(6)
    text = f"{PERSONAL}{prefix}_{secrets.token_urlsafe(32)}"
    return Secret(text, digest(text), prefix)


def sign_in() -> Secret:
    """Make the token of a sign-in."""
    text = SIGN_IN + secrets.token_urlsafe(32)
    return Secret(text, digest(text))


def digest(text: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def prefix_of(text: str) -> str | None:
    """Return the prefix of a personal token, None for any other text."""
    found = _PERSONAL.fullmatch(text)
    return found[1] if found else None


def is_sign_in(text: str) -> bool:
    """Tell whether a text has the form of a sign-in's token."""
    return _SIGN_IN.fullmatch(text) is not None
