"""What an OpenID Connect provider publishes: its addresses and its keys, asked for rarely and kept."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tumorseg.access.errors import UnauthenticatedError
from tumorseg.errors import InputError, UnavailableError

if TYPE_CHECKING:
    import jwt

logger = logging.getLogger(__name__)
DISCOVERY = "/.well-known/openid-configuration"
#: Keys are asked for again after an hour; sooner for a key that is not known, but not more often than this.
_KEEP_S, _AGAIN_S = 3600.0, 30.0
#: While the provider does not answer, the keys that it published last count for a day.
_STALE_S = 86400.0
#: After a failure nobody waits for another one for so long.
_RETRY_S = 5.0
_TIMEOUT_S = (3.05, 5.0)
_MOST_BYTES = 1 << 20


class Provider:
    """One provider."""

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        require_safe(issuer, "oidc_issuer", InputError)
        self.issuer = issuer
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[Mapping[str, Any]] = []
        self._addresses: Mapping[str, Any] = {}
        self._asked = self._failed = float("-inf")
        self._got = float("-inf")

    def key(self, kid: Any, algorithm: str, kind: str) -> jwt.PyJWK:
        """Return the key that a token names.

        Raises:
            UnauthenticatedError: the provider has no such key.
            UnavailableError: it cannot be asked.
        """
        import jwt

        found = self._find(kid, algorithm, kind)
        if found is None or self._clock() > self._got + _KEEP_S:
            self._refresh(unknown_key=found is None)
            found = self._find(kid, algorithm, kind)
        if found is None:
            raise UnauthenticatedError("the token is signed with a key that the provider does not publish")
        try:
            return jwt.PyJWK(dict(found), algorithm)
        except jwt.PyJWTError:
            raise UnauthenticatedError("the token's key cannot be used with its algorithm") from None

    def password_grant(self, client_id: str, name: str, password: str) -> dict[str, Any]:
        """Exchange a password for the provider's token, as MONAI Label does for Slicer's module.

        Raises:
            UnauthenticatedError: the provider refuses.
            UnavailableError: it cannot be asked.
        """
        if not self._addresses:
            self._refresh(unknown_key=True)
        address = self._addresses.get("token_endpoint")
        if not isinstance(address, str):
            raise UnavailableError("the sign-in provider offers no token endpoint")
        require_safe(address, "the provider's token endpoint", UnavailableError)
        form = {"grant_type": "password", "client_id": client_id, "username": name, "password": password,
                "scope": "openid"}  # fmt: skip
        status, said = self._ask("POST", address, form)
        if status in (400, 401, 403):
            raise UnauthenticatedError("user name or password is wrong")
        if status != 200 or not isinstance(said.get("access_token"), str):
            raise UnavailableError(f"the sign-in provider answered {status}")
        return said

    def _find(self, kid: Any, algorithm: str, kind: str) -> Mapping[str, Any] | None:
        """Look a key up; a token that names none can mean only one."""
        fits = [
            key
            for key in self._keys
            if key.get("kty") == kind and key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
        ]
        if kid is not None:
            fits = [key for key in fits if key.get("kid") == kid]
        return fits[0] if len(fits) == 1 else None

    def _refresh(self, *, unknown_key: bool) -> None:
        """Ask for addresses and keys, unless that was done a moment ago."""
        with self._lock:
            now = self._clock()
            if unknown_key and now <= self._asked + _AGAIN_S and self._keys:
                return
            if not unknown_key and now <= self._got + _KEEP_S:
                return
            if now > self._failed + _RETRY_S:
                self._asked = now
                try:
                    self._fetch()
                    self._got = now
                    return
                except UnavailableError as error:
                    logger.warning("%s", error)
                    self._failed = now
            if not self._keys or now > self._got + _STALE_S:
                raise UnavailableError("the sign-in provider cannot be reached: try again")

    def _fetch(self) -> None:
        """Read the provider's description and its keys."""
        status, said = self._ask("GET", self.issuer.rstrip("/") + DISCOVERY)
        if status != 200 or said.get("issuer") != self.issuer:
            named = str(said.get("issuer"))[:200]
            raise UnavailableError(
                f"the provider's description (status {status}) names the issuer {named}, configured is {self.issuer}"
            )
        address = str(said.get("jwks_uri"))
        require_safe(address, "the provider's jwks_uri", UnavailableError)
        status, keys = self._ask("GET", address)
        listed = keys.get("keys")
        if status != 200 or not isinstance(listed, list):
            raise UnavailableError(f"the provider's keys cannot be read (status {status})")
        self._addresses, self._keys = said, [key for key in listed if isinstance(key, Mapping)]

    def _ask(self, method: str, address: str, form: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Return status and JSON object of an answer; redirects are not followed."""
        import requests

        try:
            with requests.request(
                method, address, data=form, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
            ) as answer:
                body = answer.raw.read(_MOST_BYTES + 1, decode_content=True)
                status = answer.status_code
        except (requests.RequestException, OSError) as error:
            raise UnavailableError(f"the sign-in provider cannot be reached ({type(error).__name__})") from None
        return status, _object(body)


def _object(body: bytes) -> dict[str, Any]:
    import json

    try:
        said = json.loads(body) if len(body) <= _MOST_BYTES else None
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def require_safe(address: str, what: str, error: type[InputError] | type[UnavailableError]) -> None:
    """Raise where somebody between could change what an address answers: keys fetched so would prove nothing."""
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_this_computer(parts.hostname or ""):
        return
    raise error(f"expected {what} to be an https address, got {address[:200]!r}")


def _is_this_computer(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
