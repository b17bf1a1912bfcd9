"""``/session/``: images that a viewer brings along and that are not kept. Slicer opens one for a volume of its own."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi.responses import FileResponse, Response, StreamingResponse

from tumorseg.access.types import Principal, Role
from tumorseg.adapters.sources import suffix_of
from tumorseg.io.guard.check import check_file
from tumorseg.io.guard.sizes import OversizeError
from tumorseg.server.archives import Bounds, is_zip, unpack
from tumorseg.server.common import Place, kept_file
from tumorseg.server.forms import MAX_FILES, UploadRoute
from tumorseg.server.rules import Caller, rule
from tumorseg.server.session_store import SessionStore

if TYPE_CHECKING:
    from tumorseg.config import AppConfig
    from tumorseg.server.scratch import Scratch

_PLAIN_SUFFIX = re.compile(r"(\.[a-z0-9]{1,6}){0,2}")
_PIECE = 1 << 20
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class OwnSessions:
    """The sessions as one caller sees them: the own ones, an administrator all.

    Attributes:
        store: every session.
        scratch: where new ones are filled.
        who: the caller.
    """

    store: SessionStore
    scratch: Scratch
    who: Principal

    def add(self, uploads: list[UploadFile], expiry: int, config: AppConfig, *, uncompress: bool) -> dict[str, Any]:
        """Keep the files as a new session; nothing stays behind where one of them is refused."""
        with self.scratch.lent() as folder:
            draft = folder / "draft"
            draft.mkdir()
            for number, upload in enumerate(uploads):
                kept = kept_file(upload, config.max_upload_mb)
                if uncompress and is_zip(kept.path):
                    # Into a folder of its own: entries are numbered from 0 in every archive.
                    inner = folder / f"{number:05d}"
                    inner.mkdir()
                    for path in unpack(kept.path, inner, Bounds(MAX_FILES, config.max_decoded_mb * _MEGABYTE)):
                        os.replace(path, draft / f"{number:05d}-{path.name}")
                else:
                    os.replace(kept.path, draft / f"{number:05d}{_suffix(upload)}")
            _check(draft, config.max_decoded_mb * _MEGABYTE)
            return self.store.add(draft, self.who.name, expiry)

    def describe(self, session_id: str, *, touch: bool = False) -> dict[str, Any]:
        """Say what a session is."""
        return self.store.describe(session_id, self.who, touch=touch)

    def image(self, session_id: str) -> AbstractContextManager[Path]:
        """Give a session's file, or its folder where it has several, for as long as a block runs."""
        return self.store.image(session_id, self.who)

    def remove(self, session_id: str) -> dict[str, Any]:
        """Delete a session."""
        return self.store.remove(session_id, self.who)


def _suffix(upload: UploadFile) -> str:
    """Return the ending of a file: nothing else of the client's name counts; slices of a series may have none."""
    suffix = suffix_of(Path(str(upload.filename or "")))
    return suffix if _PLAIN_SUFFIX.fullmatch(suffix) else ""


def _check(folder: Path, most: int) -> None:
    """Look at every file before a reader is shown it; together they may be as large as one."""
    total = 0
    for path in sorted(folder.iterdir()):
        total += check_file(path, most)
        if total > most:
            raise OversizeError(f"the files unpack to more than the {most / _MEGABYTE:.0f} MB that this server takes")


async def _sessions(request: Request, who: Caller) -> OwnSessions:
    return OwnSessions(request.app.state.sessions, request.app.state.scratch, who)


#: A route's parameter of this type is what the caller may see of the sessions.
Sessions = Annotated[OwnSessions, Depends(_sessions)]

router = APIRouter(prefix="/session", tags=["sessions"], route_class=UploadRoute)


@router.put("/", summary="Send an image (one file, or the slices of one series) that is not kept")
@rule(Role.ANNOTATOR, "session.create")
def create(
    place: Place, sessions: Sessions, files: list[UploadFile], uncompress: bool = False, expiry: int = 0
) -> dict[str, Any]:
    """Open a session and return its id, to be used as ``session_id`` with ``/infer``.

    With ``uncompress`` a zip is unpacked: its files become the session's.
    """
    described = sessions.add(files, expiry, place.config, uncompress=uncompress)
    return {"session_id": described["name"], "session_info": described}


@router.get("/{session_id}", summary="Look up a session, or get its image back", response_model=None)
@rule(Role.ANNOTATOR, "session.read")
def look_up(
    sessions: Sessions, session_id: str, update_ts: bool = False, image: bool = False
) -> dict[str, Any] | Response:
    """Describe a session; with ``image`` return its file, several as one zip."""
    if not image:
        return sessions.describe(session_id, touch=update_ts)
    with sessions.image(session_id) as path:
        if path.is_file():
            return FileResponse(path, filename=path.name)
    headers = {"Content-Disposition": f'attachment; filename="{session_id}.zip"'}
    return StreamingResponse(_zipped(sessions, session_id), media_type="application/zip", headers=headers)


@router.delete("/{session_id}", summary="Close a session and delete its image")
@rule(Role.ANNOTATOR, "session.remove")
def remove(sessions: Sessions, session_id: str) -> dict[str, Any]:
    """Delete a session."""
    return sessions.remove(session_id)


class _Pipe(io.RawIOBase):
    """Where a zip is written that is sent while it is made: no copy of it is ever kept."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is written to."""
        return True

    def write(self, data: Any, /) -> int:
        """Take what was written."""
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        data, self._pieces = b"".join(self._pieces), []
        return data


def _zipped(sessions: OwnSessions, session_id: str) -> Iterator[bytes]:
    """Pack the files of a session while they are sent."""
    pipe = _Pipe()
    with sessions.image(session_id) as folder, zipfile.ZipFile(cast("IO[bytes]", pipe), "w") as packed:
        for path in sorted(folder.iterdir()):
            with path.open("rb") as source, packed.open(path.name, "w", force_zip64=True) as entry:
                while piece := source.read(_PIECE):
                    entry.write(piece)
                    yield pipe.taken()
    yield pipe.taken()
