"""OpenID Connect: who a provider's signed token says somebody is.

What is checked, in this order: the algorithm is one of :data:`ALGORITHMS` (never ``none``, never a shared secret); the
key is one that the provider publishes, of the kind that the algorithm needs; the signature; issuer, audience, and the
times, by PyJWT. Addresses and keys that a token itself names are never followed.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tumorseg.access.errors import ForbiddenError, UnauthenticatedError
from tumorseg.access.provider import Provider
from tumorseg.access.types import Principal, Role, is_name

#: Algorithm -> kind of key. All are asymmetric: knowing the public key lets nobody make a token.
ALGORITHMS = {
    **{f"{family}{bits}": "RSA" for family in ("RS", "PS") for bits in (256, 384, 512)},
    **{f"ES{bits}": "EC" for bits in (256, 384, 512)},
    "EdDSA": "OKP",
}
LEEWAY_S = 30
#: So long a token that was found good is not checked again.
_TRUST_S = 60.0
_MOST_KEPT = 1000


@dataclass(frozen=True)
class Claims:
    """Where in a token is what we want to know.

    Attributes:
        audience: what ``aud`` must name.
        name: the claim with the person's name.
        roles: the claim with the roles, with dots between the levels.
        mapping: a value of that claim -> role.
    """

    audience: str
    name: str
    roles: str
    mapping: Mapping[str, Role]


class Verifier:
    """Checks a provider's tokens."""

    def __init__(
        self,
        provider: Provider,
        claims: Claims,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.provider, self.claims, self._clock = provider, claims, clock
        self._good: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, token: str) -> Principal | None:
        """Return whose token this is if it was checked a moment ago."""
        with self._lock:
            found = self._good.get(_digest(token))
        return found[0] if found and found[1] > self._clock() else None

    def principal(self, token: str) -> Principal:
        """Return whose token this is; may ask the provider for its keys.

        Raises:
            UnauthenticatedError: the token does not count, and why.
            ForbiddenError: it does, but whose it is has no role here.
            UnavailableError: the provider cannot be asked.
        """
        known = self.remembered(token)
        if known:
            return known
        said = self._checked(token)
        who = Principal(self._name(said), self._role(said), "oidc")
        with self._lock:
            self._good[_digest(token)] = (who, min(self._clock() + _TRUST_S, float(said["exp"])))
            while len(self._good) > _MOST_KEPT:
                self._good.popitem(last=False)
        return who

    def _checked(self, token: str) -> dict[str, Any]:
        """Return what a token says once it is known to be the provider's, for us, and of now."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise UnauthenticatedError("the token is malformed") from None
        algorithm = str(header.get("alg"))
        if algorithm not in ALGORITHMS or "crit" in header:
            raise UnauthenticatedError(f"the token is signed by {algorithm[:20]!r}, which is not accepted")
        key = self.provider.key(header.get("kid"), algorithm, ALGORITHMS[algorithm])
        try:
            said: dict[str, Any] = jwt.decode(
                token,
                key=key,
                algorithms=[algorithm],
                audience=self.claims.audience,
                issuer=self.provider.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise UnauthenticatedError(_reason(error)) from None
        return said

    def _name(self, said: Mapping[str, Any]) -> str:
        name = said.get(self.claims.name)
        if not isinstance(name, str) or not is_name(name):
            raise ForbiddenError(
                f"the provider's token has no usable name under {self.claims.name!r}: choose another claim by the "
                "setting oidc_name_claim"
            )
        return name

    def _role(self, said: Mapping[str, Any]) -> Role:
        """Return the highest role that a token gives."""
        found: Any = said
        for level in self.claims.roles.split("."):
            found = found.get(level) if isinstance(found, Mapping) else None
        values = found if isinstance(found, list) else [found]
        roles = [
            self.claims.mapping[value] for value in values if isinstance(value, str) and value in self.claims.mapping
        ]
        if not roles:
            wanted = ", ".join(sorted(self.claims.mapping))
            raise ForbiddenError(f"the provider gives no role for this server: expected one of {wanted}")
        return max(roles)


def _reason(error: Exception) -> str:
    """Say why a token does not count; PyJWT's messages hold nothing of the token."""
    import jwt

    reasons: dict[type[Exception], str] = {
        jwt.ExpiredSignatureError: "the token has expired: sign in again",
        jwt.ImmatureSignatureError: "the token is not valid yet: are both clocks right?",
        jwt.InvalidAudienceError: "the token is made for another audience",
        jwt.InvalidIssuerError: "the token is another issuer's",
        jwt.InvalidSignatureError: "the token's signature is wrong",
        jwt.MissingRequiredClaimError: "the token lacks iss, aud, iat or exp",
    }
    return next((text for kind, text in reasons.items() if isinstance(error, kind)), "the token does not count")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
