"""The masks that people are making: found again by what a viewer says, or by an id; bounded, and gone when left alone.

Nothing of this outlives the server: a viewer sends all its points with every request and loses nothing by it, and who
uses an id is told that it ended.

Concurrency: one lock guards the lists; it is held for moments, by the event loop and by routes that save labels in
threads. :attr:`Entry.lock` is of the event loop and makes the requests for one mask come one after the other while each
of them waits for its turn to compute.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tumorseg.errors import NotFoundError, TumorSegError, UnavailableError

if TYPE_CHECKING:
    from tumorseg.adapters.interactive.looks import Look
    from tumorseg.interactive.session import PromptSession
    from tumorseg.io.memory_cache import MemoryCache

#: Masks that may be in the making, and those of one person; the one used longest ago makes way.
MOST, MOST_OF_ONE = 512, 64
#: Ids of ended sessions that are remembered to say so.
_MOST_ENDED = 4096


class EndedError(TumorSegError):
    """The session was there and is not any more (HTTP 410)."""

    status = 410


@dataclass(eq=False)
class Entry:
    """One mask in the making.

    Attributes:
        owner: whose it is.
        image: id of the image; "" of one that is not of the studies.
        label: name of the segment.
        look: the image as the model knows it.
        session: the prompts and what they led to.
        start: the mask that the viewer sent along to begin with, packed; None where it can be made again.
        key: under which a viewer's requests find it again; None where it goes by its id alone.
        brought: id of the session of ``/session/`` whose image it is, else "".
        id: for who asks by id.
        used: when it was used last, s on the monotonic clock.
        lock: held by the request that changes it.
    """

    owner: str
    image: str
    label: str
    look: Look
    session: PromptSession
    start: bytes | None = None
    key: Hashable | None = None
    brought: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    used: float = field(default_factory=time.monotonic)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Entries:
    """Every mask in the making.

    Args:
        kept: the looks in memory.
        max_bytes: of masks, and of looks that nobody keeps but for them.
        idle_s: after which an unused one ends.
        clock: monotonic, s.
    """

    def __init__(
        self, kept: MemoryCache[Look], max_bytes: int, idle_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept, self._max_bytes, self._idle_s, self._clock = kept, max_bytes, idle_s, clock
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # the one used longest ago first
        self._by_key: dict[Hashable, Entry] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Hashable) -> Entry | None:
        """Return the mask that a viewer means, as used now."""
        with self._lock:
            self.sweep()
            entry = self._by_key.get(key)
            return self._touched(entry) if entry is not None else None

    def get(self, ident: str, owner: str) -> Entry:
        """Return the mask of an id, as used now.

        Raises:
            NotFoundError: there is none; another's is as unknown as one that never was.
            EndedError: it was the caller's, and ended.
        """
        with self._lock:
            self.sweep()
            entry, ended = self._entries.get(ident), self._ended.get(ident)
            if entry is not None and entry.owner == owner:
                return self._touched(entry)
        if ended == owner:
            raise EndedError("this session ended: it was closed, left alone for long, or made way; open a new one")
        raise NotFoundError("no such interactive session: POST /interactive/ opens one")

    def add(self, entry: Entry) -> None:
        """Keep a new mask, making room for it.

        Raises:
            UnavailableError: everything that could make way is being worked on.
        """
        with self._lock:
            self.sweep()
            entry.used = self._clock()
            self._entries[entry.id] = entry
            if entry.key is not None:
                self._by_key[entry.key] = entry
            own = [other for other in self._entries.values() if other.owner == entry.owner]
            while len(own) > MOST_OF_ONE:
                self._make_way(entry, own)
            self.shrink(entry)

    def shrink(self, entry: Entry) -> None:
        """End those used longest ago until the rest fits; not the one that is named."""
        with self._lock:
            while len(self._entries) > MOST or (len(self._entries) > 1 and self.nbytes() > self._max_bytes):
                self._make_way(entry, list(self._entries.values()))

    def drop(self, entry: Entry) -> None:
        """End a mask."""
        with self._lock:
            if self._entries.pop(entry.id, None) is None:
                return
            if entry.key is not None and self._by_key.get(entry.key) is entry:
                del self._by_key[entry.key]
            self._ended[entry.id] = entry.owner
            while len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)

    def of(self, image: str, owner: str | None) -> list[Entry]:
        """Return the masks of an image that somebody is making (None: anybody), the one used last at the end."""
        with self._lock:
            self.sweep()
            return [one for one in self._entries.values() if one.image == image and owner in (None, one.owner)]

    def owned(self, owner: str) -> list[Entry]:
        """Return somebody's masks, what was used last first."""
        with self._lock:
            self.sweep()
            return [entry for entry in reversed(self._entries.values()) if entry.owner == owner]

    def look(self, key: Hashable) -> Look | None:
        """Return the look of a key that one of the masks is made on."""
        with self._lock:
            return next((one.look for one in reversed(self._entries.values()) if one.look.key == key), None)

    def sweep(self) -> None:
        """End what nobody used for long."""
        with self._lock:
            over = self._clock() - self._idle_s
            for entry in list(self._entries.values()):
                if entry.used > over:
                    break
                if not entry.lock.locked():
                    self.drop(entry)

    def nbytes(self) -> int:
        """Return the bytes of all masks, and of looks that made way in memory and that only masks still hold."""
        with self._lock:
            entries = list(self._entries.values())
        looks = {id(entry.look): entry.look for entry in entries}
        held = [look.nbytes for look in looks.values() if look.key is None or self._kept.peek(look.key) is not look]
        return sum(held) + sum(entry.session.nbytes for entry in entries)

    def _touched(self, entry: Entry) -> Entry:
        entry.used = self._clock()
        self._entries.move_to_end(entry.id)
        return entry

    def _make_way(self, entry: Entry, among: list[Entry]) -> None:
        free = next((other for other in among if other is not entry and not other.lock.locked()), None)
        if free is None:
            self.drop(entry)
            raise UnavailableError("too many masks are being made at once: try again", retry_after=1)
        among.remove(free)
        self.drop(free)
