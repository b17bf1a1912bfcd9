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

from tumorseg.access.types import LOCAL, Role
from tumorseg.server.common import Place
from tumorseg.server.ohif import static
from tumorseg.server.rules import Caller, rule

router = APIRouter(include_in_schema=False)
_HERE = Path(__file__).parent
_SIGNED_IN = Template(
    '<form method="post" action="/signout">Signed in as <b>$name</b> ($role) <button>Sign out</button></form>'
)
_LEARNING = (
    '<dt>Learning</dt><dd><a href="/learning">Versions of the models, trainings, '
    "and whether labelling more pays</a></dd>"
)
_SHORT_METHODS = ("get", "head", "put", "post", "delete")


@router.get("/")
@rule(Role.VIEWER)
def landing(request: Request, place: Place, who: Caller) -> HTMLResponse:
    """Say what is served and how to open it."""
    viewer = (
        '<a href="/ohif/">Open the studies in OHIF</a>, choose one and the mode <b>MONAI Label</b>.'
        if place.source.is_dicom
        else "OHIF shows DICOM only; these studies are files: open them in 3D Slicer."
    )
    count = len(place.source.ids())
    one, several = ("DICOM study", "DICOM studies") if place.source.is_dicom else ("image file", "image files")
    return page(
        "landing.html",
        count=str(count),
        kind=one if count == 1 else several,
        models=escape(", ".join(place.engine.models.names)),
        viewer=viewer,
        learning=_LEARNING if who.role >= Role.ANNOTATOR else "",
        address=escape(str(request.base_url).rstrip("/")),
        person="" if who == LOCAL else _SIGNED_IN.substitute(name=escape(who.name), role=who.role.title),
    )


@router.get("/docs")
@rule(Role.VIEWER)
def docs(request: Request) -> HTMLResponse:
    """List the addresses; the full description is ``/openapi.json``."""
    rows = [
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(said.get('summary', ''))}</td></tr>"
        for path, methods in request.app.openapi()["paths"].items()
        for method, said in methods.items()
        if method in _SHORT_METHODS
    ]
    return page("docs.html", rows="\n".join(rows))


@router.get("/openapi.json")
@rule(Role.VIEWER)
def description(request: Request) -> JSONResponse:
    """Describe every address, for programs."""
    return JSONResponse(request.app.openapi())


@router.get("/common.js")
@rule(None)
def common_script() -> Response:
    """Send what the scripts of our pages share."""
    return FileResponse(_HERE / "common.js", media_type="text/javascript")


@router.get("/favicon.ico")
@rule(None)
def favicon() -> Response:
    """Send MONAI Label's icon."""
    return FileResponse(static() / "favicon.ico")


def page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Fill one of our pages."""
    return HTMLResponse(
        status_code=status, content=Template((_HERE / name).read_text(encoding="utf-8")).substitute(values)
    )
