"""The people of a server: who they are, what they may do, and what they prove it with."""

from __future__ import annotations

import hmac
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tumorseg.access import secret
from tumorseg.access.database import Database
from tumorseg.access.passwords import hash_password
from tumorseg.access.types import RESERVED, Role, is_name
from tumorseg.errors import InputError, NotFoundError

#: How exactly it is kept when a token was used.
USED_EVERY_S = 3600


@dataclass(frozen=True)
class User:
    """Somebody who may sign in.

    Attributes:
        name: as labels and the audit log keep it; names that differ in case only are one name.
        role: what they may do.
        active: False for somebody who may not come in any more.
        created: when they were added, seconds since 1970.
        password: what is kept of the password, None without one.
    """

    name: str
    role: Role
    active: bool
    created: int
    password: str | None = field(repr=False)


@dataclass(frozen=True)
class Token:
    """What is known of a personal token.

    Attributes:
        id: its number.
        user: whose it is.
        prefix: by which it is named.
        created: seconds since 1970.
        expires: when it stops counting, None for never.
        used: when it was used last, to the hour; None for never.
    """

    id: int
    user: str
    prefix: str
    created: int
    expires: int | None
    used: int | None


class Users:
    """The people in a server's folder of state."""

    def __init__(self, database: Database | Path, clock: Callable[[], float] = time.time) -> None:
        self.database = database if isinstance(database, Database) else Database(database)
        self._clock = clock

    def all(self) -> list[User]:
        """List everybody by name."""
        return [_user(row) for row in self.database.read("SELECT * FROM users ORDER BY name")]

    def count(self) -> int:
        """Count everybody, also those who may not come in any more."""
        rows = self.database.read("SELECT count(*) AS n FROM users")
        return int(rows[0]["n"]) if rows else 0

    def find(self, name: str) -> User | None:
        """Look somebody up."""
        rows = self.database.read("SELECT * FROM users WHERE name = ?", name)
        return _user(rows[0]) if rows else None

    def get(self, name: str) -> User:
        """Look somebody up who must be there."""
        found = self.find(name)
        if found is None:
            known = ", ".join(user.name for user in self.all())
            raise NotFoundError(f"there is no user {name[:64]!r}; there are: {known or 'none'}")
        return found

    def add(self, name: str, role: Role, password: str | None = None) -> User:
        """Add somebody.

        Raises:
            InputError: the name cannot be used or is taken, or the password is too short.
        """
        if not is_name(name):
            raise InputError(
                f"expected a name of up to 64 letters, digits and . _ @ + - that begins with a letter or digit and is "
                f"none of {', '.join(sorted(RESERVED))}, got {name[:64]!r}"
            )
        kept = None if password is None else hash_password(password)
        try:
            with self.database.transaction() as change:
                change.execute(
                    "INSERT INTO users (name, role, password, created) VALUES (?, ?, ?, ?)",
                    (name, role.title, kept, self.now()),
                )
        except sqlite3.IntegrityError:
            raise InputError(f"there is a user {name!r} already") from None
        return self.get(name)

    def set_role(self, name: str, role: Role, *, force: bool = False) -> None:
        """Change what somebody may do; ``force`` also where no administrator remains."""
        user = self.get(name)
        with self.database.transaction() as change:
            change.execute("UPDATE users SET role = ? WHERE name = ?", (role.title, user.name))
            _require_admin(change, user, force)

    def set_active(self, name: str, active: bool, *, force: bool = False) -> None:
        """Let somebody in again, or no longer; their sign-ins end."""
        user = self.get(name)
        with self.database.transaction() as change:
            change.execute("UPDATE users SET active = ? WHERE name = ?", (int(active), user.name))
            change.execute("DELETE FROM sign_ins WHERE user = ?", (user.name,))
            _require_admin(change, user, force)

    def set_password(self, name: str, password: str) -> None:
        """Give somebody a password; sign-ins with the old one end."""
        user, kept = self.get(name), hash_password(password)
        with self.database.transaction() as change:
            change.execute("UPDATE users SET password = ? WHERE name = ?", (kept, user.name))
            change.execute("DELETE FROM sign_ins WHERE user = ?", (user.name,))

    def remove(self, name: str, *, force: bool = False) -> None:
        """Forget somebody with their tokens and sign-ins; what they labelled keeps their name."""
        user = self.get(name)
        with self.database.transaction() as change:
            change.execute("DELETE FROM users WHERE name = ?", (user.name,))
            _require_admin(change, user, force)

    def new_token(self, name: str, days: int | None = None) -> secret.Secret:
        """Make a personal token; its text is not kept.

        Args:
            name: whose it is.
            days: how long it counts; None for ever.
        """
        if days is not None and not 1 <= days <= 3660:
            raise InputError(f"expected a token to count for 1 to 3660 days, got {days}")
        user, made = self.get(name), secret.personal()
        expires = None if days is None else self.now() + days * 86400
        with self.database.transaction() as change:
            change.execute(
                "INSERT INTO tokens (user, prefix, digest, created, expires) VALUES (?, ?, ?, ?, ?)",
                (user.name, made.prefix, made.digest, self.now(), expires),
            )
        return made

    def tokens(self, name: str | None = None) -> list[Token]:
        """List the tokens of somebody, or of everybody."""
        rows = self.database.read("SELECT * FROM tokens ORDER BY created, id")
        return [_token(row) for row in rows if name is None or row["user"].lower() == name.lower()]

    def revoke(self, name: str, prefix: str | None = None) -> int:
        """Make a token of somebody count no more, or all of them, with the sign-ins made with them.

        Raises:
            NotFoundError: they have no such token.
        """
        user = self.get(name)
        with self.database.transaction() as change:
            gone = change.execute(
                "DELETE FROM tokens WHERE user = ? AND (? IS NULL OR prefix = ?)", (user.name, prefix, prefix)
            ).rowcount
        if prefix is not None and not gone:
            raise NotFoundError(f"{user.name} has no token {prefix[:20]!r}: `tumorseg user list` shows them")
        return gone

    def by_token(self, text: str) -> tuple[User, Token] | None:
        """Find whose a personal token is, None where it does not count."""
        prefix = secret.prefix_of(text)
        if prefix is None:
            return None
        rows = self.database.read("SELECT * FROM tokens WHERE prefix = ?", prefix)
        if not rows or not hmac.compare_digest(bytes(rows[0]["digest"]), secret.digest(text)):
            return None
        token, user = _token(rows[0]), self.find(rows[0]["user"])
        expired = token.expires is not None and token.expires <= self._clock()
        return None if user is None or not user.active or expired else (user, token)

    def note_use(self, token: Token) -> None:
        """Keep when a token was used; once an hour is enough."""
        if token.used is None or token.used + USED_EVERY_S <= self.now():
            with self.database.transaction() as change:
                change.execute("UPDATE tokens SET used = ? WHERE id = ?", (self.now(), token.id))

    def now(self) -> int:
        """Return the time as it is kept, seconds since 1970."""
        return int(self._clock())


def _user(row: sqlite3.Row) -> User:
    return User(row["name"], Role.parse(row["role"]), bool(row["active"]), row["created"], row["password"])


def _token(row: sqlite3.Row) -> Token:
    return Token(row["id"], row["user"], row["prefix"], row["created"], row["expires"], row["used"])


def _require_admin(change: sqlite3.Connection, before: User, force: bool) -> None:
    """Refuse a change after which nobody administers the server who did before."""
    if force or before.role is not Role.ADMIN or not before.active:
        return
    left = change.execute("SELECT count(*) FROM users WHERE role = 'admin' AND active").fetchone()[0]
    if not left:
        raise InputError(f"{before.name} is the last administrator: add another one first, or say --force")
