"""Sign-ins: short-lived tokens that stand for a password, a personal token or a provider's word."""

from __future__ import annotations

import time
from collections.abc import Callable

from tumorseg.access import secret
from tumorseg.access.database import Database
from tumorseg.access.types import Principal, Role


class SignIns:
    """Who is signed in; kept in the file of users, so that a restart signs nobody out."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self.database, self._clock = database, clock

    def open(self, who: Principal, lasts_s: int, *, user: str | None = None, token: int | None = None) -> str:
        """Keep a sign-in and return its token.

        Args:
            who: as whom; of a user of ours the role is looked up anew at every request.
            lasts_s: for how long.
            user: the user of ours, with whom it ends.
            token: the personal token, with which it ends.
        """
        made, now = secret.sign_in(), int(self._clock())
        row = (made.digest, user, token, who.name, None if user else who.role.title, now + lasts_s)
        with self.database.transaction() as change:
            change.execute("DELETE FROM sign_ins WHERE expires <= ?", (now,))
            change.execute(
                "INSERT INTO sign_ins (digest, user, token, name, role, expires) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        return made.text

    def find(self, text: str, how: str) -> Principal | None:
        """Return who is signed in with this token, None where nobody is."""
        if not secret.is_sign_in(text):
            return None
        rows = self.database.read(
            "SELECT s.name AS name, coalesce(u.role, s.role) AS role FROM sign_ins s LEFT JOIN users u "
            "ON u.name = s.user WHERE s.digest = ? AND s.expires > ? AND coalesce(u.active, 1)",
            secret.digest(text),
            int(self._clock()),
        )
        return Principal(rows[0]["name"], Role.parse(rows[0]["role"]), how) if rows else None

    def close(self, text: str) -> None:
        """End a sign-in."""
        with self.database.transaction() as change:
            change.execute("DELETE FROM sign_ins WHERE digest = ?", (secret.digest(text),))
