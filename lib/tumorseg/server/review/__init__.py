"""``/review``: a page on which people look at cases and their labels, and decide. It uses ``/labels`` and nothing else.

Script and style are files of their own, so that the browser policy of our pages (no script between the lines) holds.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

from tumorseg.access.types import Role
from tumorseg.server.rules import Caller, rule

router = APIRouter(prefix="/review", include_in_schema=False)
_HERE = Path(__file__).parent


@router.get("")
@rule(Role.VIEWER)
def show(who: Caller) -> HTMLResponse:
    """Show the page; it holds no case yet, its script fetches them."""
    template = Template((_HERE / "review.html").read_text(encoding="utf-8"))
    learning = '<a href="/learning">Learning</a>' if who.role >= Role.ANNOTATOR else ""
    values = {"name": escape(who.name), "role": who.role.title, "rank": int(who.role), "learning": learning}
    return HTMLResponse(template.substitute(values))


@router.get("/review.js")
@rule(None)
def script() -> FileResponse:
    """Send the page's script."""
    return FileResponse(_HERE / "review.js", media_type="text/javascript")


@router.get("/review.css")
@rule(None)
def style() -> FileResponse:
    """Send the page's style."""
    return FileResponse(_HERE / "review.css", media_type="text/css")
