"""``tumorseg audit`` as an operator types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.audit.test_verify import cheat
from tumorseg.audit.log import AuditLog
from tumorseg.cli import app


@pytest.fixture
def state(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path / "audit")
    log.record("ann", "annotator", "label.save", "DOE_JANE", 200, "r1", address="10.0.0.7")
    log.record("bob", "viewer", "image.read", "case2", 403, "r2")
    log.close()
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["audit", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_show_finds_an_image_by_the_id_that_viewers_use(state: Path) -> None:
    code, out, _ = run("show", "--image", "DOE_JANE", "--state", str(state), "--json")
    assert code == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert [(record["who"], record["action"], record["status"]) for record in found] == [("ann", "label.save", 200)]
    assert "DOE" not in out


def test_show_is_a_table_for_people(state: Path) -> None:
    code, out, _ = run("show", "--state", str(state))
    assert code == 0
    assert all(word in out for word in ("ann", "label.save", "10.0.0.7", "403"))


def test_show_reads_dates_and_refuses_what_is_none(state: Path) -> None:
    assert run("show", "--since", "2099-01-01", "--state", str(state), "--json")[1] == ""
    assert len(run("show", "--since", "2020-01-01T08:00+02:00", "--state", str(state), "--json")[1].splitlines()) == 2
    code, _, error = run("show", "--since", "yesterday", "--state", str(state))
    assert (code, "expected a date" in error) == (2, True)


def test_verify_prints_what_to_note_and_takes_it_back(state: Path) -> None:
    code, out, _ = run("verify", "--state", str(state))
    assert code == 0
    noted = out.splitlines()[-1]
    assert noted.startswith("2:")
    assert run("verify", "--expect", noted, "--state", str(state))[0] == 0


def test_verify_says_where_it_is_broken(state: Path) -> None:
    cheat(state / "audit", "UPDATE record SET status = 200 WHERE seq = 2")
    code, out, _ = run("verify", "--state", str(state))
    assert code == 1
    assert "broken at record 2" in out
    verdict = json.loads(run("verify", "--state", str(state), "--json")[1])
    assert verdict["broken"] == 2


def test_export_takes_old_records_out(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    assert run("export", str(file), "--until", "2099-01-01", "--state", str(state))[0] == 0
    assert len(run("show", "--state", str(state), "--json")[1].splitlines()) == 2
    file.unlink()
    assert run("export", str(file), "--until", "2099-01-01", "--remove", "--state", str(state))[0] == 0
    assert len(file.read_text().splitlines()) == 2
    left = [json.loads(line) for line in run("show", "--state", str(state), "--json")[1].splitlines()]
    assert [record["action"] for record in left] == ["audit.remove"]
    assert run("verify", "--state", str(state))[0] == 0


def test_no_log_is_said_in_one_line(tmp_path: Path) -> None:
    code, _, error = run("show", "--state", str(tmp_path / "none"))
    assert code == 2
    assert "there is no audit log" in error
    assert not (tmp_path / "none").exists()
