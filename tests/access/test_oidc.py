"""A provider's token counts only if everything about it is right; each case here is a way into other servers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.access.identity_provider import AUDIENCE, IdentityProvider, identity_provider
from tumorseg.access.errors import ForbiddenError, UnauthenticatedError
from tumorseg.access.oidc import Claims, Verifier
from tumorseg.access.provider import Provider
from tumorseg.access.types import Principal, Role
from tumorseg.errors import InputError, UnavailableError

MAPPING = {"monailabel-annotator": Role.ANNOTATOR, "monailabel-admin": Role.ADMIN}


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(idp: IdentityProvider, clock: Clock) -> Verifier:
    return made(idp, clock)


def made(
    idp: IdentityProvider, clock: Clock, roles: str = "realm_access.roles", name: str = "preferred_username"
) -> Verifier:
    return Verifier(Provider(idp.issuer, clock), Claims(AUDIENCE, name, roles, MAPPING))


def segments(*parts: Any) -> str:
    return ".".join(
        base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=").decode()
        for part in parts
    )


def test_a_right_token_says_who_and_what_role(idp: IdentityProvider, verifier: Verifier) -> None:
    assert verifier.principal(idp.token()) == Principal("ann", Role.ANNOTATOR, "oidc")
    both = {"roles": ["monailabel-admin", "monailabel-annotator"]}
    assert verifier.principal(idp.token(realm_access=both)).role is Role.ADMIN


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "RS512", "ES256"])
def test_asymmetric_algorithms_count(idp: IdentityProvider, verifier: Verifier, algorithm: str) -> None:
    idp.add_key("other", algorithm)
    assert verifier.principal(idp.token("other")).name == "ann"


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 3600, "iat": NOW - 7200, "nbf": None}, "expired"),
        ({"nbf": NOW + 3600}, "not valid yet"),
        ({"iat": NOW + 3600}, "not valid yet"),
        ({"iss": "https://elsewhere.example/realm"}, "issuer"),
        ({"aud": "another-client"}, "audience"),
        ({"aud": None}, "lacks"),
        ({"exp": None}, "lacks"),
        ({"iss": None}, "lacks"),
        ({"iat": None}, "lacks"),
        ({"exp": float("inf")}, "does not count"),
        ({"exp": "tomorrow"}, "does not count"),
    ],
)
def test_a_claim_that_is_wrong(idp: IdentityProvider, verifier: Verifier, claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnauthenticatedError, match=reason):
        verifier.principal(idp.token(**claims))


def test_alg_none_is_refused(idp: IdentityProvider, verifier: Verifier) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        forged = segments({"alg": algorithm, "typ": "JWT", "kid": "first"}, idp.claims(), b"")
        with pytest.raises(UnauthenticatedError):
            verifier.principal(forged)


def test_hs256_signed_with_the_public_key_is_refused(idp: IdentityProvider, verifier: Verifier) -> None:
    """The classic: the public key, which everybody has, used as a shared secret."""
    body = segments({"alg": "HS256", "typ": "JWT", "kid": "first"}, idp.claims())
    mac = hmac.new(idp.public_pem("first"), body.encode(), hashlib.sha256).digest()
    with pytest.raises(UnauthenticatedError, match="HS256"):
        verifier.principal(f"{body}.{segments(mac)}")


def test_a_changed_token_and_another_ones_signature(idp: IdentityProvider, verifier: Verifier) -> None:
    head, _, signature = idp.token().split(".")
    raised = segments(idp.claims(realm_access={"roles": ["monailabel-admin"]}))
    with pytest.raises(UnauthenticatedError, match="signature"):
        verifier.principal(f"{head}.{raised}.{signature}")
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = jwt.encode(idp.claims(), stranger, "RS256", headers={"kid": "first"})
    with pytest.raises(UnauthenticatedError, match="signature"):
        verifier.principal(forged)


def test_keys_and_addresses_that_a_token_brings_are_not_followed(idp: IdentityProvider, verifier: Verifier) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))
    headers = {"kid": "stranger", "jwk": own, "jku": f"{idp.issuer}/evil", "x5u": f"{idp.issuer}/evil"}
    with pytest.raises(UnauthenticatedError, match="does not publish"):
        verifier.principal(jwt.encode(idp.claims(), stranger, "RS256", headers=headers))
    assert "/realm/evil" not in idp.asked


def test_a_key_is_used_with_its_own_algorithm_only(idp: IdentityProvider, verifier: Verifier) -> None:
    key = idp.keys["first"][1]
    with pytest.raises(UnauthenticatedError, match="does not publish"):
        verifier.principal(jwt.encode(idp.claims(), key, "RS512", headers={"kid": "first"}))
    idp.add_key("curve", "ES256")
    with pytest.raises(UnauthenticatedError):
        verifier.principal(jwt.encode(idp.claims(), key, "RS256", headers={"kid": "curve"}))


DEEP = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 30_000).decode().rstrip("=")


@pytest.mark.parametrize("text", ["..", "a.b.c", "x" * 5000 + "..", "eyJ.eyJ.é", f"{DEEP}.e30.e30"])
def test_what_is_no_token(verifier: Verifier, text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        verifier.principal(text)


def test_critical_extensions_that_nobody_here_knows(idp: IdentityProvider, verifier: Verifier) -> None:
    with pytest.raises(UnauthenticatedError):
        verifier.principal(idp.token(headers={"crit": ["b64"], "b64": True}))


def test_a_rotated_key_is_fetched_but_not_more_often_than_twice_a_minute(
    idp: IdentityProvider, verifier: Verifier, clock: Clock
) -> None:
    assert verifier.principal(idp.token()).name == "ann"
    idp.add_key("second", "RS256")
    clock.now += 31
    assert verifier.principal(idp.token("second")).name == "ann"
    asked = len(idp.asked)
    for number in range(20):
        with pytest.raises(UnauthenticatedError, match="does not publish"):
            verifier.principal(idp.token(headers={"kid": f"unknown{number}"}))
    assert len(idp.asked) == asked
    clock.now += 31
    with pytest.raises(UnauthenticatedError):
        verifier.principal(idp.token(headers={"kid": "unknown"}))
    assert len(idp.asked) == asked + 2


def test_a_withdrawn_key_counts_no_more_after_an_hour(idp: IdentityProvider, verifier: Verifier, clock: Clock) -> None:
    verifier.principal(idp.token())
    old = idp.token(sub="later")
    idp.add_key("second", "RS256")
    signer = idp.keys.pop("first")
    clock.now += 3601
    with pytest.raises(UnauthenticatedError, match="does not publish"):
        verifier.principal(old)
    assert signer


def test_a_provider_that_is_down(idp: IdentityProvider, verifier: Verifier, clock: Clock) -> None:
    idp.broken = True
    with pytest.raises(UnavailableError, match="cannot be reached"):
        verifier.principal(idp.token())
    asked = len(idp.asked)
    with pytest.raises(UnavailableError):
        verifier.principal(idp.token(sub="again"))
    assert len(idp.asked) == asked  # nobody waits for it at every request
    idp.broken = False
    clock.now += 6
    assert verifier.principal(idp.token()).name == "ann"
    idp.broken = True
    clock.now += 7200
    assert verifier.principal(idp.token(sub="other")).name == "ann"  # the keys it published count for a day
    clock.now += 86400
    with pytest.raises(UnavailableError):
        verifier.principal(idp.token(sub="a day later"))


def test_a_provider_that_gives_itself_out_as_another(idp: IdentityProvider, clock: Clock) -> None:
    address = idp.issuer
    idp.issuer = "https://elsewhere.example"
    verifier = Verifier(Provider(address, clock), Claims(AUDIENCE, "preferred_username", "roles", MAPPING))
    with pytest.raises(UnavailableError):
        verifier.principal(idp.token())


def test_roles_and_names_of_other_providers(idp: IdentityProvider, clock: Clock) -> None:
    flat = made(idp, clock, roles="groups", name="email")
    token = idp.token(groups="monailabel-admin", email="ann@example.org")
    assert flat.principal(token) == Principal("ann@example.org", Role.ADMIN, "oidc")
    with pytest.raises(ForbiddenError, match="no role"):
        flat.principal(idp.token(email="ann@example.org"))
    with pytest.raises(ForbiddenError, match="oidc_name_claim"):
        flat.principal(idp.token(groups="monailabel-admin", email="../ann"))
    with pytest.raises(ForbiddenError, match="oidc_name_claim"):
        flat.principal(idp.token(groups="monailabel-admin", email="local"))


def test_passwords_are_passed_on_to_the_provider(idp: IdentityProvider, verifier: Verifier) -> None:
    said = verifier.provider.password_grant(AUDIENCE, "ann", idp.people["ann"])
    assert verifier.principal(said["access_token"]).name == "ann"
    with pytest.raises(UnauthenticatedError, match="wrong"):
        verifier.provider.password_grant(AUDIENCE, "ann", "guess")


@pytest.mark.parametrize(
    "issuer", ["http://idp.example.org/realm", "ftp://x", "idp.example.org", "http://127.0.0.1.evil.example"]
)
def test_an_issuer_that_somebody_between_could_answer_for(issuer: str) -> None:
    with pytest.raises(InputError, match="https"):
        Provider(issuer)
