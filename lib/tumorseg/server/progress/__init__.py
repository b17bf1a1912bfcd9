"""``/learning``: the page that shows whether the loop pays, and ``/learning/summary``, which it draws.

Script and style are files of their own, so that the browser policy of our pages (no script between the lines) holds.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from string import Template
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from tumorseg.access.types import Role
from tumorseg.adapters.learning.summary import Summary
from tumorseg.server.errors import without_folders
from tumorseg.server.rules import Caller, rule

router = APIRouter(prefix="/learning", tags=["learning"])
_HERE = Path(__file__).parent


async def _summary(request: Request) -> Summary:
    found: Summary = request.app.state.summary
    return found


@router.get("", include_in_schema=False)
@rule(Role.ANNOTATOR)
def show(who: Caller) -> HTMLResponse:
    """Show the page; it holds no figure yet, its script fetches them."""
    template = Template((_HERE / "progress.html").read_text(encoding="utf-8"))
    return HTMLResponse(template.substitute(name=escape(who.name), role=who.role.title, rank=int(who.role)))


@router.get("/summary", summary="Versions, effort by round, the training that runs, and what more labels would bring")
@rule(Role.ANNOTATOR)
def summary(request: Request, who: Caller, found: Annotated[Summary, Depends(_summary)]) -> Response:
    """Sum up the learning loop; who did what only reviewers are told."""
    said = json.dumps(found.describe(names=who.role >= Role.REVIEWER), ensure_ascii=False, allow_nan=False)
    return Response(without_folders(said, request), media_type="application/json")


@router.get("/progress.js", include_in_schema=False)
@rule(None)
def script() -> FileResponse:
    """Send the page's script."""
    return FileResponse(_HERE / "progress.js", media_type="text/javascript")


@router.get("/charts.js", include_in_schema=False)
@rule(None)
def charts() -> FileResponse:
    """Send the script that draws."""
    return FileResponse(_HERE / "charts.js", media_type="text/javascript")


@router.get("/progress.css", include_in_schema=False)
@rule(None)
def style() -> FileResponse:
    """Send the page's style."""
    return FileResponse(_HERE / "progress.css", media_type="text/css")
