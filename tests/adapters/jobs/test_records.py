from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tumorseg.adapters.jobs import records
from tumorseg.adapters.jobs.types import Job, JobState

JOB = Job("20261121-120000-000000", "train", "tiny", {"epochs": 3}, "anna", 12.5)
STATE = JobState("RUNNING", 0.25, 1, 4, 12.0, 0.5, 1.0, None, {}, "", 2, 1, 0.25)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / JOB.id
    folder.mkdir()
    records.write_job(folder, JOB)
    records.write_state(folder, STATE)
    assert records.read_job(folder) == JOB
    assert records.read_state(folder) == STATE


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"status": "FLYING"}',
        '{"status": ["DONE"]}',
        '{"status": "DONE", "fraction": "half"}',
        '{"status": "DONE", "eta_s": {}}',
        '{"status": "DONE", "result": 3}',
        b"\xff\xfe\x00",
    ],
)
def test_a_damaged_state_is_an_error_of_the_job_not_of_the_server(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / records.STATE).write_bytes(content.encode() if isinstance(content, str) else content)
    state = records.read_state(tmp_path)
    assert state.status == "ERROR"
    assert "state.json" in state.error


def test_a_missing_state_is_an_error_of_the_job(tmp_path: Path) -> None:
    assert records.read_state(tmp_path).status == "ERROR"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}', '{"id": 3, "kind": 4}'])
def test_a_damaged_job_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / records.JOB).write_text(content)
    assert records.read_job(tmp_path) is None


def test_a_job_of_another_folder_is_none(tmp_path: Path) -> None:
    """A folder that somebody copied: cancelling one must not stop the other."""
    records.write_job(tmp_path, JOB)
    assert records.read_job(tmp_path) is None


def test_what_a_newer_server_adds_is_passed_over(tmp_path: Path) -> None:
    import json

    (tmp_path / records.STATE).write_text(json.dumps({**asdict(STATE), "mood": "good"}))
    assert records.read_state(tmp_path) == STATE


def test_nan_never_reaches_the_file(tmp_path: Path) -> None:
    records.write_state(tmp_path, STATE)
    with pytest.raises(ValueError, match="JSON"):
        records.write_state(tmp_path, replace(STATE, metric=float("nan")))
    assert records.read_state(tmp_path) == STATE
