"""Passwords, kept as argon2id."""

from __future__ import annotations

import secrets
import threading
from functools import cache
from typing import TYPE_CHECKING

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH, MAX_LENGTH = 12, 256
#: Each check takes 19 MB: no flood of sign-ins may fill the memory.
_AT_ONCE = threading.BoundedSemaphore(2)


@cache
def _hasher() -> PasswordHasher:
    """Return argon2id as the OWASP cheat sheet on password storage sets it: 19 MiB, two passes, one lane."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobodys() -> str:
    """Return the hash of a password that nobody knows."""
    return _hasher().hash(secrets.token_urlsafe())


def hash_password(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        InputError: it is too short or too long.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InputError(f"expected a password of {MIN_LENGTH} to {MAX_LENGTH} characters, got {len(password)}")
    with _AT_ONCE:
        return _hasher().hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Tell whether this is the password; where there is none it takes just as long to say no."""
    from argon2.exceptions import InvalidHashError, VerificationError

    nobodys = _nobodys()
    with _AT_ONCE:
        try:
            _hasher().verify(stored or nobodys, password[: MAX_LENGTH + 1])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None and len(password) <= MAX_LENGTH
