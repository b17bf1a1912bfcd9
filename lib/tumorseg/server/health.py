"""``/healthz``: the process answers. ``/readyz``: it can do its work, and if not, why.

``/healthz`` looks at nothing and needs no thread, so it answers while everything else is busy: a supervisor that
restarts on it does not kill a server for working. ``/readyz`` looks at the parts, at most once a second and never
twice at the same time; it has threads of its own. It names each check to everybody; what is wrong with it only to who
may look at images, because it may name hosts and folders.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from tumorseg.access.types import Role
from tumorseg.adapters.labels import labels_root
from tumorseg.errors import TumorSegError, UnavailableError
from tumorseg.server.observe import principal
from tumorseg.server.rules import rule

if TYPE_CHECKING:
    from tumorseg.adapters.inference.queue import InferenceQueue
    from tumorseg.adapters.workplace import Workplace
    from tumorseg.audit.log import AuditLog

router = APIRouter(tags=["administration"])

#: How long an answer is good for, and how long a check may take before it counts as failed, s.
GOOD_FOR_S, PATIENCE_S = 1.0, 5.0
_MEGABYTE = 1 << 20

#: Raises, with what is wrong, where something is.
Check = Callable[[], object]


@dataclass(frozen=True)
class Outcome:
    """What one look at a part found; ``why`` is empty where it is well."""

    ok: bool
    why: str = ""


class Readiness:
    """Looks at the parts of a server.

    Args:
        checks: by name.
        clock: tells the time that an answer is good for.
    """

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = dict(checks)
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=max(1, len(self._checks)), thread_name_prefix="ready")
        self._running: dict[str, asyncio.Future[Outcome]] = {}
        self._known: tuple[float, dict[str, Outcome]] | None = None
        self._looking = asyncio.Lock()

    async def look(self) -> dict[str, Outcome]:
        """Return what every check found, now or within the last second."""
        async with self._looking:
            if self._known is None or self._clock() - self._known[0] >= GOOD_FOR_S:
                found = await asyncio.gather(*(self._ask(name, check) for name, check in self._checks.items()))
                self._known = self._clock(), dict(zip(self._checks, found, strict=True))
            return self._known[1]

    def close(self) -> None:
        """Give the threads back; one that hangs in a check is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, name: str, check: Check) -> Outcome:
        """Run a check with patience; one that still hangs from the last time is not started a second time."""
        future = self._running.get(name)
        if future is None or future.done():
            future = asyncio.get_running_loop().run_in_executor(self._threads, outcome_of, check)
            self._running[name] = future
        try:
            return await asyncio.wait_for(asyncio.shield(future), PATIENCE_S)
        except TimeoutError:
            return Outcome(False, f"no answer within {PATIENCE_S:.0f} s")


def outcome_of(check: Check) -> Outcome:
    """Run a check."""
    try:
        check()
    except TumorSegError as error:
        return Outcome(False, str(error))
    except OSError as error:
        return Outcome(False, error.strerror or type(error).__name__)
    except Exception as error:  # what a broken part raises is nobody's to know beforehand
        return Outcome(False, type(error).__name__)
    return Outcome(True)


def checks_of(place: Workplace, audit: AuditLog) -> dict[str, Check]:
    """Say what a server needs to do its work."""
    config = place.config
    labels = labels_root(config)
    folders = (labels, config.state, config.cache)
    return {
        "studies": place.source.check,
        "labels": lambda: writable(labels),
        "index": place.datastore.labels.labelled_by_tag,
        "model": lambda: place.engine.models.get(place.engine.models.names[0]),
        "queue": lambda: taking(place.engine.queue),
        "disk": lambda: roomy(folders, config.min_free_mb),
        "audit": audit.check,
    }


def taking(queue: InferenceQueue) -> None:
    """Raise UnavailableError where no more work is taken; a queue that is full is at work, and well."""
    if queue.closing:
        raise UnavailableError("the server is stopping")


def writable(folder: Path) -> None:
    """Raise UnavailableError where nothing can be written to a folder, which may not have been made yet."""
    there = existing(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UnavailableError(f"{folder} cannot be written to")
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        raise UnavailableError(f"{folder} lies on a disk that is read-only")


def roomy(folders: tuple[Path, ...], least_mb: int) -> None:
    """Raise UnavailableError where the disk of a folder has less room than it should."""
    for folder in folders:
        free = shutil.disk_usage(existing(folder)).free // _MEGABYTE
        if free < least_mb:
            raise UnavailableError(f"expected {least_mb} MB of free disk for {folder}, found {free} MB")


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))


@router.get("/healthz", summary="Whether the process answers")
@rule(None)
async def healthz() -> dict[str, str]:
    """Answer, and look at nothing."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether the server can do its work", responses={503: {"description": "It cannot."}})
@rule(None)
async def readyz(request: Request) -> JSONResponse:
    """Name each check; 200 where all are well, else 503."""
    readiness: Readiness = request.app.state.readiness
    found = await readiness.look()
    who = principal(request.scope)
    trusted = who is not None and who.role >= Role.VIEWER
    ready = all(outcome.ok for outcome in found.values())
    said: dict[str, Any] = {"ready": ready, "checks": {name: _said(found[name], trusted) for name in found}}
    return JSONResponse(said, 200 if ready else 503, {"Cache-Control": "no-store"})


def _said(outcome: Outcome, trusted: bool) -> str:
    """Say what a check found, in one word to strangers."""
    if outcome.ok:
        return "ok"
    return f"failed: {outcome.why}" if trusted and outcome.why else "failed"
