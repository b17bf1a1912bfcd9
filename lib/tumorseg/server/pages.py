"""What a browser opens: the landing page and the list of addresses.

Everything comes from this computer: a hospital's workstation may have no way to a content network.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from tumorseg.server.common import Place
from tumorseg.server.ohif import static
from tumorseg.server.rules import rule

router = APIRouter(include_in_schema=False)
_HERE = Path(__file__).parent
_SHORT_METHODS = ("get", "head", "put", "post", "delete")


@router.get("/")
@rule(None)
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
@rule(None)
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


@router.get("/openapi.json")
@rule(None)
def description(request: Request) -> JSONResponse:
    """Describe every address, for programs."""
    return JSONResponse(request.app.openapi())


@router.get("/favicon.ico")
@rule(None)
def favicon() -> Response:
    """Send MONAI Label's icon."""
    return FileResponse(static() / "favicon.ico")


def _page(name: str, **values: Any) -> HTMLResponse:
    """Fill one of our pages."""
    return HTMLResponse(Template((_HERE / name).read_text(encoding="utf-8")).substitute(values))
