"""``/auth/``: signing in for programs, at the addresses and in the words of MONAI Label's client."""

from __future__ import annotations

import logging
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from tumorseg.access.errors import ThrottledError, UnauthenticatedError
from tumorseg.access.gate import Access, SignedIn
from tumorseg.access.types import Principal, Role
from tumorseg.errors import TumorSegError
from tumorseg.server.rules import Caller, rule
from tumorseg.server.who import address

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/auth", tags=["sign-in"])
REALM = 'Bearer realm="tumorseg"'


async def _access(request: Request) -> Access:
    found: Access = request.app.state.access
    return found


#: A route's parameter of this type is what decides who comes in.
Gate = Annotated[Access, Depends(_access)]


@router.get("/", summary="Ask whether one has to sign in")
@rule(None)
async def enabled(gate: Gate) -> dict[str, Any]:
    """Say whether there is a sign-in; client and realm are those of the provider, empty without one."""
    provider = gate.verifier.provider.issuer if gate.verifier else ""
    return {"enabled": gate.required, "client_id": gate.client_id, "realm": provider}


@router.post("/token", summary="Sign in: exchange name and password, or a personal token, for a short-lived token")
@rule(None)
def token(
    request: Request, gate: Gate, username: Annotated[str, Form()] = "", password: Annotated[str, Form()] = ""
) -> dict[str, Any]:
    """Return ``access_token`` and ``token_type``, to be sent as ``Authorization: Bearer …``.

    A personal token is taken as the password too. Without a sign-in both are null, as MONAI Label answers.
    """
    if not gate.required:
        return {"access_token": None, "token_type": None}
    signed = signed_in(request, gate, username, password, providers_token=True)
    return {"access_token": signed.token, "token_type": "bearer", "expires_in": signed.lasts_s}


@router.get("/token/valid", summary="Ask whether one's token counts, and who one is")
@rule(Role.VIEWER)
async def valid(who: Caller) -> dict[str, Any]:
    """Return the name and all roles that somebody has."""
    roles = [role.title for role in Role if role <= who.role]
    return {"username": who.name, "email": None, "name": who.name, "roles": roles}


def signed_in(request: Request, gate: Access, name: str, password: str, *, providers_token: bool = False) -> SignedIn:
    """Sign somebody in, and keep that it was tried."""
    try:
        signed = gate.sign_in(name, password, address(request.scope), providers_token=providers_token)
    except ThrottledError:
        raise  # kept in no log of ours: whoever floods us would fill the disk
    except TumorSegError as error:
        # A name that nobody here has may be a password typed in the wrong place: it is not kept.
        user = gate.users.find(name)
        shown = user.name if user else "(unknown)"
        logger.warning("sign-in of %s failed: %s", shown, type(error).__name__)
        note(request, Principal(shown, Role.VIEWER, ""), "signin", error.status)
        raise
    note(request, signed.who, "signin", 200)
    return signed


def note(request: Request, who: Principal, action: str, status: int) -> None:
    """Keep in the audit log that somebody came, went, or was not let in."""
    state = request.app.state
    state.audit.record(
        who.name,
        who.role.title if status < 400 else "",
        action,
        None,
        status,
        getattr(request.state, "request_id", ""),
        how=who.how,
        address=address(request.scope) if state.workplace.config.audit_addresses else "",
    )


def install(app: FastAPI) -> None:
    """Answer who is not known: a browser is sent to sign in, a program gets 401."""
    app.add_exception_handler(UnauthenticatedError, _unauthenticated)
    app.add_exception_handler(ThrottledError, _throttled)
    app.include_router(router)


async def _unauthenticated(request: Request, error: Exception) -> Response:
    opens_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if opens_page and "authorization" not in request.headers:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/signin?next={quote(target, safe='/')}", 303)
    return JSONResponse({"detail": str(error)}, 401, {"WWW-Authenticate": REALM})


async def _throttled(request: Request, error: Exception) -> Response:
    assert isinstance(error, ThrottledError)
    return JSONResponse({"detail": str(error)}, 429, {"Retry-After": str(error.retry_after)})
