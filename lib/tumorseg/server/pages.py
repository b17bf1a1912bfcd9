"""What a browser opens: the landing page, the list of addresses, and OHIF as it lies in MONAI Label's wheel.

Everything comes from this computer: a hospital's workstation may have no way to a content network.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from tumorseg.server.common import Place

router = APIRouter(include_in_schema=False)
_HERE = Path(__file__).parent
_SHORT_METHODS = ("get", "head", "put", "post", "delete")


@router.get("/")
def landing(request: Request, place: Place) -> HTMLResponse:
    """Say what is served and how to open it."""
    viewer = (
        '<a href="/ohif/">Open the studies in OHIF</a>, choose one and the mode <b>MONAI Label</b>.'
        if place.source.is_dicom
        else "OHIF shows DICOM only; these studies are files: open them in 3D Slicer."
    )
    return _page(
        "landing.html",
        count=str(len(place.source.ids())),
        kind="DICOM studies" if place.source.is_dicom else "image files",
        models=escape(", ".join(place.engine.models.names)),
        viewer=viewer,
        address=escape(str(request.base_url).rstrip("/")),
    )


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """List the addresses; the full description is ``/openapi.json``."""
    rows = [
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(said.get('summary', ''))}</td></tr>"
        for path, methods in request.app.openapi()["paths"].items()
        for method, said in methods.items()
        if method in _SHORT_METHODS
    ]
    return _page("docs.html", rows="\n".join(rows))


@router.get("/favicon.ico")
def favicon() -> Response:
    """Send MONAI Label's icon."""
    return FileResponse(_static() / "favicon.ico")


def mount_ohif(app: FastAPI) -> None:
    """Serve OHIF below ``/ohif/``; addresses of its own pages get its index, as a single-page application needs."""

    @app.get("/ohif", include_in_schema=False)
    def to_slash() -> RedirectResponse:
        return RedirectResponse("/ohif/")

    @app.get("/ohif/{path:path}", include_in_schema=False)
    def ohif(path: str) -> FileResponse:
        return FileResponse(_ohif_files().get(path, _static() / "ohif" / "index.html"))


@cache
def _static() -> Path:
    """Find MONAI Label's static files without importing it."""
    spec = find_spec("monailabel")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("monailabel is not installed")
    return Path(spec.submodule_search_locations[0]) / "endpoints" / "static"


@cache
def _ohif_files() -> dict[str, Path]:
    """List OHIF's files, address -> path; an address that is not listed cannot reach a file."""
    root = _static() / "ohif"
    return {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}


def _page(name: str, **values: Any) -> HTMLResponse:
    """Fill one of our pages."""
    return HTMLResponse(Template((_HERE / name).read_text(encoding="utf-8")).substitute(values))
