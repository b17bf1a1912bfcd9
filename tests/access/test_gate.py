"""Who comes in to a server: when people sign in at all, with what, and what is said to those who may not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.access.identity_provider import AUDIENCE, IdentityProvider, identity_provider
from tests.serving import token_of
from tumorseg.access.errors import ThrottledError, UnauthenticatedError
from tumorseg.access.gate import Access
from tumorseg.access.types import LOCAL, Principal, Role
from tumorseg.access.users import Users
from tumorseg.config import AppConfig
from tumorseg.errors import InputError, UnavailableError

PASSWORD = "correct horse battery"
HERE = "10.0.0.1"


def access(tmp_path: Path, *, exposed: bool = False, **conf: Any) -> Access:
    return Access(AppConfig.parse(tmp_path, {"state": tmp_path / "state", **conf}, {}), exposed=exposed)


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


def test_on_this_computer_without_users_everybody_is_local(tmp_path: Path) -> None:
    gate = access(tmp_path)
    assert not gate.required
    assert gate.identify(None, None) == gate.identify("old token", "old cookie") == LOCAL
    assert not (tmp_path / "state").exists()


def test_people_sign_in_from_the_first_user_on_and_whoever_is_removed_then(tmp_path: Path) -> None:
    gate = access(tmp_path)
    assert not gate.required
    token = token_of(tmp_path / "state", "ann", Role.VIEWER)
    assert gate.required
    assert gate.identify(None, None) is None
    assert gate.identify(token, None) == Principal("ann", Role.VIEWER, "token")
    Users(tmp_path / "state").remove("ann")
    assert gate.required
    gate.users.database.path.unlink()
    assert gate.required
    assert gate.identify(None, None) is None


def test_required_off_and_exposed(tmp_path: Path, idp: IdentityProvider) -> None:
    assert access(tmp_path, auth="required").required
    assert access(tmp_path, exposed=True).required
    assert access(tmp_path, exposed=True, auth="off").required  # whoever built it so: others can reach it
    assert access(tmp_path, oidc_issuer=idp.issuer, oidc_audience=AUDIENCE).required
    token_of(tmp_path / "state")
    assert not access(tmp_path, auth="off").required


def test_a_bearer_token_that_does_not_count_is_no_cookie(tmp_path: Path) -> None:
    token_of(tmp_path / "state", "ann", Role.VIEWER, PASSWORD)
    gate = access(tmp_path)
    cookie = gate.sign_in("ann", PASSWORD, HERE).token
    assert gate.identify(None, cookie) == Principal("ann", Role.VIEWER, "cookie")
    assert gate.identify(None, cookie + "x") is None
    for bearer in ("nonsense", "tsgp_nonsense", "a.b.c", "", cookie + "x"):
        with pytest.raises(UnauthenticatedError):
            gate.identify(bearer, cookie)


def test_signing_in_by_password_and_by_personal_token(tmp_path: Path) -> None:
    token = token_of(tmp_path / "state", "Ann", Role.ANNOTATOR, PASSWORD)
    other = token_of(tmp_path / "state", "bob", Role.ADMIN)
    gate = access(tmp_path, signin_hours=2)
    for name, proof in (("Ann", PASSWORD), ("ann", token), ("bob", other)):
        signed = gate.sign_in(name, proof, HERE)
        assert signed.lasts_s == 7200
        assert gate.identify(signed.token, None) == signed.who
        assert signed.token not in repr(signed)
    for name, proof in (("Ann", other), ("bob", token), ("bob", PASSWORD), ("bob", ""), ("nobody", token), ("", "")):
        with pytest.raises(UnauthenticatedError, match="user name or password is wrong"):
            gate.sign_in(name, proof, HERE)


def test_a_sign_in_lasts_no_longer_than_its_token(tmp_path: Path) -> None:
    users = Users(tmp_path / "state", clock=lambda: 1000.0)
    users.add("ann", Role.VIEWER)
    made = users.new_token("ann", days=1)
    gate = access(tmp_path, signin_hours=100)
    gate.users = users
    assert gate.sign_in("ann", made.text, HERE).lasts_s == 86400


def test_somebody_disabled_is_told_what_a_stranger_is(tmp_path: Path) -> None:
    token = token_of(tmp_path / "state", "ann", Role.VIEWER, PASSWORD)
    gate = access(tmp_path)
    gate.users.set_active("ann", False)
    for proof in (PASSWORD, token):
        with pytest.raises(UnauthenticatedError, match="user name or password is wrong"):
            gate.sign_in("ann", proof, HERE)


def test_guessing_is_slowed_down_and_a_right_password_too(tmp_path: Path) -> None:
    token_of(tmp_path / "state", "ann", Role.VIEWER, PASSWORD)
    gate = access(tmp_path)
    for _ in range(5):
        with pytest.raises(UnauthenticatedError):
            gate.sign_in("ann", "wrong wrong wrong", HERE)
    with pytest.raises(ThrottledError):
        gate.sign_in("ann", PASSWORD, HERE)
    assert gate.sign_in("ann", PASSWORD, "10.0.0.2").who.name == "ann"


def test_people_of_the_provider(tmp_path: Path, idp: IdentityProvider) -> None:
    gate = access(tmp_path, oidc_issuer=idp.issuer, oidc_audience=AUDIENCE)
    token = idp.token()
    assert gate.is_slow(token)
    assert gate.identify(token, None) == Principal("ann", Role.ANNOTATOR, "oidc")
    assert not gate.is_slow(token)
    signed = gate.sign_in("ann", idp.people["ann"], HERE)
    assert gate.identify(None, signed.token) == Principal("ann", Role.ANNOTATOR, "cookie")
    as_stock = gate.sign_in("ann", idp.people["ann"], HERE, providers_token=True)
    assert as_stock.lasts_s == 300
    assert gate.identify(as_stock.token, None) == Principal("ann", Role.ANNOTATOR, "oidc")
    with pytest.raises(UnauthenticatedError, match="user name or password is wrong"):
        gate.sign_in("ann", "wrong", HERE)


def test_the_provider_cannot_give_out_the_name_of_a_user_of_ours(tmp_path: Path, idp: IdentityProvider) -> None:
    gate = access(tmp_path, oidc_issuer=idp.issuer, oidc_audience=AUDIENCE)
    assert gate.identify(idp.token(), None) is not None
    token_of(tmp_path / "state", "ANN", Role.ADMIN, PASSWORD)
    with pytest.raises(UnauthenticatedError, match="has the name of a user"):
        gate.identify(idp.token(), None)
    assert gate.sign_in("ann", PASSWORD, HERE).who.role is Role.ADMIN


def test_a_provider_that_is_down_keeps_no_user_of_ours_out(tmp_path: Path, idp: IdentityProvider) -> None:
    idp.broken = True
    gate = access(tmp_path, oidc_issuer=idp.issuer, oidc_audience=AUDIENCE)
    token = token_of(tmp_path / "state", "root", Role.ADMIN, PASSWORD)
    assert gate.identify(token, None) is not None
    assert gate.sign_in("root", PASSWORD, HERE).who.name == "root"
    with pytest.raises(UnavailableError):
        gate.identify(idp.token(), None)
    for _ in range(10):  # which makes nobody a guesser
        with pytest.raises(UnavailableError):
            gate.sign_in("ann", "x", HERE)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"oidc_roles": "doctors=king"}, "expected a role"),
        ({"oidc_roles": ","}, "at least one role"),
        ({"oidc_issuer": "http://idp.example.org"}, "https"),
    ],
)
def test_settings_of_a_provider_that_cannot_be_used(tmp_path: Path, conf: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        access(tmp_path, **{"oidc_issuer": "https://idp.example.org", "oidc_audience": "tumorseg", **conf})


def test_a_flood_of_sign_ins_holds_no_more_than_a_few_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token_of(tmp_path / "state", "ann", Role.VIEWER, PASSWORD)
    gate = access(tmp_path)
    inside, go = threading.Semaphore(0), threading.Event()

    def slow(*_: object) -> bool:
        inside.release()
        go.wait(30)
        return True

    monkeypatch.setattr("tumorseg.access.gate.is_password", slow)
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(gate.sign_in, "ann", PASSWORD, f"10.0.0.{number}") for number in range(8)]
        for _ in running:
            assert inside.acquire(timeout=30)
        with pytest.raises(UnavailableError, match="many people") as caught:
            gate.sign_in("ann", PASSWORD, HERE)
        go.set()
        assert all(one.result().who.name == "ann" for one in running)
    assert caught.value.retry_after == 1
    assert gate.sign_in("ann", PASSWORD, HERE).who.name == "ann"


def test_the_first_use_of_a_token_in_an_hour_is_kept_but_not_in_the_event_loop(tmp_path: Path) -> None:
    token = token_of(tmp_path / "state", "ann", Role.VIEWER)
    gate = access(tmp_path)
    assert gate.is_slow(token)
    assert gate.identify(token, None) is not None
    assert gate.users.tokens("ann")[0].used is not None
    assert not gate.is_slow(token)
