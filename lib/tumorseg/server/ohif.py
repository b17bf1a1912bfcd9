"""OHIF 3.10 as it lies in MONAI Label's wheel, served below ``/ohif/`` with a few corrections.

The files themselves are not touched: what :mod:`tumorseg.server.ohif_corrections` lists is replaced in the copy that is
sent. A file that does not hold the text (another wheel) is sent as it is, and the log says so.
"""

from __future__ import annotations

import hashlib
import logging
import mimetypes
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from tumorseg.access.types import Role
from tumorseg.server.ohif_corrections import CORRECTIONS
from tumorseg.server.rules import rule

logger = logging.getLogger(__name__)


# Files by their content: a browser asks again, and fetches 20 MB only after an update.
_CACHE = "no-cache"
# Keeps the page from loading anything elsewhere; the panel may still talk to a server that its user types in.
_POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' http: https: data: blob:"


def mount(app: FastAPI) -> None:
    """Serve OHIF below ``/ohif/``; addresses of its own pages get its index, as a single-page application needs."""

    @app.get("/ohif", include_in_schema=False)
    @rule(Role.VIEWER)
    def to_slash() -> RedirectResponse:
        return RedirectResponse("/ohif/")

    @app.get("/ohif/{path:path}", include_in_schema=False)
    @rule(Role.VIEWER)
    def ohif(request: Request, path: str) -> Response:
        name = path if path in files() else "index.html"
        if name == "index.html":
            missing()
        tag = _tag(name)
        headers = {"ETag": tag, "Cache-Control": _CACHE, "Content-Security-Policy": _POLICY}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        content = corrected(name)
        if content is None:
            return FileResponse(files()[name], headers=headers)
        return Response(content, media_type=mimetypes.guess_type(name)[0], headers=headers)


@cache
def static() -> Path:
    """Find MONAI Label's static files without importing it."""
    spec = find_spec("monailabel")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("monailabel is not installed")
    return Path(spec.submodule_search_locations[0]) / "endpoints" / "static"


@cache
def files() -> dict[str, Path]:
    """List OHIF's files, address -> path; an address that is not listed cannot reach a file."""
    root = static() / "ohif"
    return {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}


@cache
def corrected(name: str) -> bytes | None:
    """Return the corrected content of a file, None for one that is sent as it lies there."""
    wanted = [correction for correction in CORRECTIONS if fnmatch(name, correction.file)]
    if not wanted:
        return None
    content = before = files()[name].read_bytes()
    for correction in wanted:
        content = content.replace(correction.old.encode(), correction.new.encode())
    return content if content != before else None


@cache
def missing() -> tuple[str, ...]:
    """Name the corrections that found no text to replace in this wheel."""
    lost = [correction.old for correction in CORRECTIONS
            if not any(fnmatch(name, correction.file) and correction.old.encode() in path.read_bytes()
                       for name, path in files().items())]  # fmt: skip
    for text in lost:
        logger.warning("this OHIF is another than 3.10 of monailabel 0.8.5; not corrected: %s", text[:80])
    return tuple(lost)


@cache
def _tag(name: str) -> str:
    """Identify what is sent for a file."""
    content = corrected(name)
    if content is None:
        status = files()[name].stat()
        content = f"{name} {status.st_size} {status.st_mtime_ns}".encode()
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
