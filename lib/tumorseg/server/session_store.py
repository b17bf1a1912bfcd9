"""The images of sessions on disk: bounded, owned, gone when nobody used them for a while.

A session is a folder ``<id>/`` with ``image/`` and ``session.json``, filled elsewhere and put in place in one step, so
that one that is there is whole, whatever becomes of the server. Several servers may share the folder.

Concurrency: a lock guards who uses which session; files are moved, never copied, so it is held for moments only. A
session that is in use is not removed before that use ends.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.access.types import Principal, Role
from tumorseg.adapters.files import read_json, write_json
from tumorseg.errors import NotFoundError, UnavailableError

logger = logging.getLogger(__name__)
MAX_AGE_S = 3600
SWEEP_EVERY_S = 60.0
#: Of all sessions one person may have this part; beyond it the one used longest ago makes way.
_SHARE = 4
_ID = re.compile(r"[0-9a-f]{32}")
_IMAGE, _META = "image", "session.json"


@dataclass(frozen=True)
class Room:
    """How much is kept.

    Attributes:
        sessions: number of sessions.
        size: bytes of all of them.
    """

    sessions: int
    size: int


class SessionStore:
    """Every session of the server."""

    def __init__(self, root: Path, room: Room) -> None:
        self.root, self.room = root, room
        self._lock = threading.RLock()
        self._used: Counter[str] = Counter()
        self._doomed: set[str] = set()
        self._stop = threading.Event()
        self.sweep()

    def start(self) -> None:
        """Remove expired sessions from time to time, until :meth:`stop`."""
        threading.Thread(target=self._sweep_on, name="session-sweep", daemon=True).start()

    def stop(self) -> None:
        """End the sweeping."""
        self._stop.set()

    def add(self, draft: Path, owner: str, expiry: int) -> dict[str, Any]:
        """Take a filled folder over as a new session.

        Raises:
            UnavailableError: others have so many sessions that there is no room.
        """
        size = sum(path.stat().st_size for path in draft.iterdir())
        age = min(expiry, MAX_AGE_S) if expiry > 0 else MAX_AGE_S
        session_id, now = uuid.uuid4().hex, time.time()
        folder = draft.with_name(f"{draft.name}-session")
        folder.mkdir()
        draft.rename(folder / _IMAGE)
        said = {"created": int(now), "used": int(now), "expiry": age, "owner": owner, "size": size}
        write_json(folder / _META, said)
        with self._lock:
            self._make_room(owner, size)
            self.root.mkdir(parents=True, exist_ok=True)
            os.rename(folder, self.root / session_id)
        return _described(session_id, said)

    def describe(self, session_id: str, who: Principal, *, touch: bool = False) -> dict[str, Any]:
        """Say what a session is, in the words of MONAI Label's clients; no path of the server is among them."""
        with self._lock:
            said = self._said(session_id, who)
            if touch:
                self._touch(session_id, said)
        return _described(session_id, said)

    @contextmanager
    def image(self, session_id: str, who: Principal) -> Iterator[Path]:
        """Give the session's file, or its folder where it has several; it stays for as long as the block runs."""
        with self._lock:
            self._touch(session_id, self._said(session_id, who))
            self._used[session_id] += 1
        try:
            folder = self.root / session_id / _IMAGE
            files = sorted(folder.iterdir())
            yield files[0] if len(files) == 1 else folder
        finally:
            with self._lock:
                self._used[session_id] -= 1
                if not self._used[session_id]:
                    del self._used[session_id]
                    if session_id in self._doomed:
                        self._remove(session_id)

    def remove(self, session_id: str, who: Principal) -> dict[str, Any]:
        """Delete a session and its files, as soon as nobody uses it; from now on there is none of this id."""
        with self._lock:
            said = self._said(session_id, who)
            self._remove(session_id)
        return _described(session_id, said)

    def count(self) -> int:
        """Return how many sessions there are."""
        with self._lock:
            return len(self._all())

    def sweep(self) -> None:
        """Delete the sessions that nobody used for as long as they were to live."""
        with self._lock:
            for session_id, said in self._all().items():
                if _is_over(said) and not self._used[session_id]:
                    self._remove(session_id)

    def _sweep_on(self) -> None:
        while not self._stop.wait(SWEEP_EVERY_S):
            try:
                self.sweep()
            except OSError as error:
                logger.warning("expired sessions cannot be removed: %s", error.strerror)

    def _all(self) -> dict[str, dict[str, Any]]:
        """List what is there, the one used longest ago first."""
        folders = [path for path in self.root.iterdir() if _ID.fullmatch(path.name)] if self.root.is_dir() else []
        found = {path.name: read_json(path / _META) for path in folders}
        return dict(sorted(found.items(), key=lambda item: float(item[1].get("used", 0))))

    def _said(self, session_id: str, who: Principal) -> dict[str, Any]:
        """Return what is noted of a session; another's is as unknown as one that never was."""
        if _ID.fullmatch(session_id) and session_id not in self._doomed:
            said = read_json(self.root / session_id / _META)
            mine = who.role >= Role.ADMIN or said.get("owner") == who.name
            if said and mine and (not _is_over(said) or self._used[session_id]):
                return said
        raise NotFoundError("no such session: it may have expired, send the image again")

    def _touch(self, session_id: str, said: dict[str, Any]) -> None:
        said["used"] = int(time.time())
        write_json(self.root / session_id / _META, said)

    def _make_room(self, owner: str, size: int) -> None:
        """Remove what is over, then the owner's own, until one more session of this size fits."""
        self.sweep()
        there = self._all()
        own = [session_id for session_id, said in there.items() if said.get("owner") == owner]
        most = max(1, self.room.sessions // _SHARE)
        while not self._fits(list(there.values()), size) or len(own) >= most:
            free = [session_id for session_id in own if not self._used[session_id]]
            if not free:
                raise UnavailableError("there is no room for another session: close one, or try again later")
            self._remove(free[0])
            own.remove(free[0])
            del there[free[0]]

    def _fits(self, there: Sequence[dict[str, Any]], size: int) -> bool:
        taken = sum(int(said.get("size", 0)) for said in there)
        return len(there) < self.room.sessions and taken + size <= self.room.size

    def _remove(self, session_id: str) -> None:
        """Delete a session now, or when its last use ends."""
        if self._used[session_id]:
            self._doomed.add(session_id)
            return
        self._doomed.discard(session_id)
        shutil.rmtree(self.root / session_id, ignore_errors=True)


def _is_over(said: dict[str, Any]) -> bool:
    return time.time() > float(said.get("used", 0)) + float(said.get("expiry", MAX_AGE_S))


def _described(session_id: str, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": session_id,
        "create_ts": said.get("created", 0),
        "last_access_ts": said.get("used", 0),
        "expiry": said.get("expiry", MAX_AGE_S),
    }
