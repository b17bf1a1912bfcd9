"""``tumorseg user``: people come and go, tokens are shown once, passwords are never arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tumorseg.access.gate import Access
from tumorseg.access.types import Role
from tumorseg.access.users import Users
from tumorseg.audit.read import Wanted
from tumorseg.audit.read import records as read_records
from tumorseg.cli import app
from tumorseg.config import AppConfig

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUMORSEG_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("TUMORSEG_PASSWORD", raising=False)
    return tmp_path / "state"


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["user", *words], input=typed)


def ok(*words: str, typed: str | None = None) -> str:
    done = run(*words, typed=typed)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words: str, typed: str | None = None) -> str:
    done = run(*words, typed=typed)
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.strip().splitlines()
    return line


def listed() -> dict[str, dict[str, Any]]:
    return {user["name"]: user for user in json.loads(ok("list", "--json"))["users"]}


def test_a_token_is_the_only_thing_printed_and_works(state: Path) -> None:
    (token,) = ok("add", "ann", "--role", "annotator", "--days", "30").splitlines()
    found = Users(state).by_token(token)
    assert found is not None
    assert (found[0].name, found[0].role) == ("ann", Role.ANNOTATOR)
    assert found[1].expires is not None
    shown = ok("list")
    assert found[1].prefix in shown
    assert token not in shown
    assert token not in ok("list", "--json")


def test_a_password_is_piped_in_or_from_the_environment(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ok("add", "ann", "-r", "admin", "--password", "--no-token", typed=PASSWORD + "\n") == ""
    gate = Access(AppConfig.parse(state, {"state": state}, {}))
    assert gate.sign_in("ann", PASSWORD, "").who.name == "ann"
    monkeypatch.setenv("TUMORSEG_PASSWORD", "another long password")
    ok("password", "ann")
    assert gate.sign_in("ann", "another long password", "").who.name == "ann"
    assert refused("add", "bob", "-r", "viewer", "--no-token").startswith("error: expected a token or --password")
    monkeypatch.setenv("TUMORSEG_PASSWORD", "short")
    assert "12" in refused("add", "bob", "-r", "viewer", "--password")
    assert "bob" not in listed()


def test_the_life_of_a_user(state: Path) -> None:
    ok("add", "root", "-r", "admin")
    ok("add", "ann", "-r", "viewer")
    ok("role", "ann", "reviewer")
    second = ok("token", "ann").strip()
    assert listed()["ann"]["role"] == "reviewer"
    assert len(listed()["ann"]["tokens"]) == 2
    ok("revoke", "ann", listed()["ann"]["tokens"][0]["prefix"])
    assert Users(state).by_token(second) is not None
    ok("disable", "ann")
    assert listed()["ann"]["active"] is False
    ok("enable", "ann")
    ok("revoke", "ann")
    assert listed()["ann"]["tokens"] == []
    ok("remove", "ann")
    assert set(listed()) == {"root"}
    for words in (["remove", "root"], ["disable", "root"], ["role", "root", "viewer"]):
        assert "last administrator" in refused(*words)
    ok("remove", "root", "--force")
    assert listed() == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "../ann", "-r", "viewer"], "expected a name"),
        (["add", "ann", "-r", "king"], "expected a role"),
        (["token", "nobody"], "no user"),
        (["remove", "nobody"], "no user"),
    ],
)
def test_what_cannot_be_done_is_one_line(words: list[str], said: str) -> None:
    assert said in refused(*words)


def test_odd_days_add_nobody() -> None:
    assert run("add", "ann", "-r", "viewer", "--days", "0").exit_code == 2
    assert listed() == {}


def test_what_was_changed_is_in_the_audit_log_without_secrets(state: Path) -> None:
    token = ok("add", "ann", "-r", "admin").strip()
    ok("revoke", "ann")
    kept = list(read_records(state / "audit", Wanted()))
    assert {record.action for record in kept} == {"user.add", "token.add", "token.revoke"}
    assert {record.how for record in kept} == {"cli"}
    assert all(record.detail["user"] == "ann" for record in kept)
    assert token not in json.dumps([record.as_json() for record in kept])
