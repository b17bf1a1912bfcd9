"""``/session/``: images that a viewer brings along and that are not kept. Slicer opens one for a volume of its own."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi.responses import FileResponse, Response

from tumorseg.access.types import Role
from tumorseg.adapters.files import read_json, write_json
from tumorseg.adapters.sources import suffix_of
from tumorseg.errors import InputError, NotFoundError
from tumorseg.server.common import save_upload
from tumorseg.server.rules import rule

MAX_AGE_S = 3600
_ID = re.compile(r"[0-9a-f]{32}")
_IMAGE, _META = "image", "session.json"


@dataclass(frozen=True)
class SessionStore:
    """Sessions as folders: one file, or the slices of a series, and when they were used last.

    Attributes:
        root: folder of the sessions.
        max_upload_mb: largest file.
    """

    root: Path
    max_upload_mb: int

    def add(self, uploads: list[UploadFile], expiry: int) -> dict[str, Any]:
        """Keep the files as a new session; nothing stays behind where one of them is refused."""
        self.sweep()
        self.root.mkdir(parents=True, exist_ok=True)
        session_id = uuid.uuid4().hex
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self.root) as draft:
            images = Path(draft) / "session" / _IMAGE
            images.mkdir(parents=True)
            for number, upload in enumerate(uploads):
                # Nothing of the client's name but its ending; slices of a series may have none.
                suffix = suffix_of(Path(str(upload.filename or "")))
                plain = suffix if re.fullmatch(r"(\.[a-z0-9]{1,6}){0,2}", suffix) else ""
                save_upload(upload, images / f"{number:05d}{plain}", self.max_upload_mb)
            age = min(expiry, MAX_AGE_S) if expiry > 0 else MAX_AGE_S
            write_json(images.parent / _META, {"created": int(time.time()), "used": int(time.time()), "expiry": age})
            images.parent.rename(self.root / session_id)
        return self.describe(session_id)

    def describe(self, session_id: str) -> dict[str, Any]:
        """Say what a session is, in the words of MONAI Label's clients; no path of the server is among them."""
        meta = read_json(self._folder(session_id) / _META)
        return {
            "name": session_id,
            "create_ts": meta.get("created", 0),
            "last_access_ts": meta.get("used", 0),
            "expiry": meta.get("expiry", MAX_AGE_S),
        }

    @contextmanager
    def image(self, session_id: str) -> Iterator[Path]:
        """Give the session's file, or its folder where it has several, and note that it was used."""
        folder = self._folder(session_id)
        write_json(folder / _META, {**read_json(folder / _META), "used": int(time.time())})
        files = sorted((folder / _IMAGE).iterdir())
        yield files[0] if len(files) == 1 else folder / _IMAGE

    def remove(self, session_id: str) -> None:
        """Delete a session and its files."""
        shutil.rmtree(self._folder(session_id), ignore_errors=True)

    def sweep(self) -> None:
        """Delete the sessions that nobody used for as long as they were to live."""
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            meta = read_json(folder / _META)
            if _ID.fullmatch(folder.name) and time.time() > meta.get("used", 0) + meta.get("expiry", MAX_AGE_S):
                shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, session_id: str) -> Path:
        """Return the folder of a session; what is not an id that we make is none."""
        if not _ID.fullmatch(session_id) or not (self.root / session_id).is_dir():
            raise NotFoundError("no such session: it may have expired, send the image again")
        return self.root / session_id


async def _sessions(request: Request) -> SessionStore:
    found: SessionStore = request.app.state.sessions
    return found


#: A route's parameter of this type is the application's session store.
Sessions = Annotated[SessionStore, Depends(_sessions)]

router = APIRouter(prefix="/session", tags=["sessions"])


@router.put("/", summary="Send an image (one file, or the slices of one series) that is not kept")
@rule(Role.ANNOTATOR, "session.create")
def create(sessions: Sessions, files: list[UploadFile], uncompress: bool = False, expiry: int = 0) -> dict[str, Any]:
    """Open a session and return its id, to be used as ``session_id`` with ``/infer``."""
    if uncompress:
        raise InputError("archives are not unpacked: send the files themselves")
    described = sessions.add(files, expiry)
    return {"session_id": described["name"], "session_info": described}


@router.get("/{session_id}", summary="Look up a session, or get its image back", response_model=None)
@rule(Role.ANNOTATOR, "session.read")
def look_up(
    sessions: Sessions, session_id: str, update_ts: bool = False, image: bool = False
) -> dict[str, Any] | Response:
    """Describe a session; with ``image`` return its file."""
    if not image:
        return sessions.describe(session_id)
    with sessions.image(session_id) as path:
        if path.is_dir():
            raise InputError("the session has several files: only single files are sent back")
        return FileResponse(path, filename=path.name)


@router.delete("/{session_id}", summary="Close a session and delete its image")
@rule(Role.ANNOTATOR, "session.remove")
def remove(sessions: Sessions, session_id: str) -> dict[str, Any]:
    """Delete a session."""
    described = sessions.describe(session_id)
    sessions.remove(session_id)
    return described
