"""Signing in and out in a browser. OHIF then works as it is: the browser sends the cookie with its requests."""

from __future__ import annotations

from html import escape
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from tumorseg.errors import TumorSegError
from tumorseg.server import cookie
from tumorseg.server.auth import Gate, note, signed_in
from tumorseg.server.pages import page
from tumorseg.server.rules import known, rule

router = APIRouter(include_in_schema=False)


@router.get("/signin")
@rule(None)
def show(request: Request, next: str = "/") -> Response:
    """Show the page, or go on where somebody is signed in already."""
    return RedirectResponse(local(next), 303) if known(request) else _form(next)


@router.post("/signin")
@rule(None)
def sign_in(
    request: Request,
    gate: Gate,
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Give the browser its cookie and go on to where it wanted."""
    answer = RedirectResponse(local(next), 303)
    if not gate.required:
        return answer
    try:
        signed = signed_in(request, gate, username, password)
    except TumorSegError as error:
        refused = _form(next, str(error), error.status)
        if hasattr(error, "retry_after") and error.retry_after is not None:
            refused.headers["Retry-After"] = str(error.retry_after)
        return refused
    cookie.give(answer, request.scope, signed.token, signed.lasts_s)
    return answer


@router.post("/signout")
@rule(None)
def sign_out(request: Request, gate: Gate) -> Response:
    """End the sign-in: also a copy of the cookie counts no more."""
    token, who = cookie.read(request.scope), known(request)
    if token and gate.required:
        gate.sign_ins.close(token)
        if who:
            note(request, who, "signout", 200)
    answer = RedirectResponse("/signin" if gate.required else "/", 303)
    cookie.take(answer, request.scope)
    return answer


def local(target: str) -> str:
    """Return an address of this server, the landing page for any other: no link to here leads elsewhere."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    plain = target.startswith("/") and target.isprintable() and "\\" not in target
    return target if plain and not parts.scheme and not parts.netloc and not target.startswith("//") else "/"


def _form(target: str, problem: str = "", status: int = 200) -> Response:
    return page("signin.html", status, next=escape(local(target)), problem=escape(problem))
