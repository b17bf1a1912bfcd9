"""Jobs in the words that viewers read: always numbers where they calculate, always a line where they take the last."""

from __future__ import annotations

import json
import math

from tumorseg.adapters.jobs.types import Job, JobState
from tumorseg.adapters.learning.statistics import DETAILS, task, train_stats, versions
from tumorseg.versions.types import SHIPPED, VersionCard

NOW = 1_700_000_100.0


def job(number: int = 1, model: str = "tiny", kind: str = "train") -> Job:
    return Job(f"2026-{number}", kind, model, {"from": "serving"}, "ann", NOW - 100 + number)  # type: ignore[arg-type]


def test_a_task_has_what_slicer_reads_even_before_it_begins() -> None:
    said = task(job(), JobState(), [])
    assert said["status"] == "SUBMITTED"
    assert said["details"][-1]  # Slicer shows the last line of a stopped task, whatever came of it
    assert said["request"]["model"] == "tiny"
    assert said["start_ts"][:2] == "20"
    assert "end_ts" not in said


def test_a_task_shows_the_last_lines_only() -> None:
    said = task(job(), JobState("DONE", ended=NOW), [f"line {number}" for number in range(100)])
    assert len(said["details"]) == DETAILS
    assert said["details"][-1] == "line 99"
    assert said["end_ts"]


def test_what_is_no_number_does_not_break_the_whole_answer() -> None:
    """``NaN`` is no JSON: a browser could not read /info/ at all."""
    state = JobState("DONE", metric=math.nan, eta_s=math.inf, result={"dice": [math.nan, 1.0], "why": "x"}, ended=NOW)
    for said in (task(job(), state, []), train_stats([(job(), state)], NOW)):
        json.dumps(said, allow_nan=False)
    assert task(job(), state, [])["result"] == {"dice": [None, 1.0], "why": "x"}


def test_statistics_can_be_calculated_with_at_every_moment() -> None:
    """Slicer divides by total_epochs and multiplies best_metric; 100 * epoch / total is its progress bar."""
    for state in (JobState(), JobState("RUNNING", started=NOW - 9), JobState("ERROR", ended=NOW)):
        said = train_stats([(job(), state)], NOW)["tiny"]
        assert 100 * said["epoch"] / said["total_epochs"] >= 0
        assert said["best_metric"] * 100 == 0


def test_a_training_that_runs_has_no_total_time_and_one_that_ended_has() -> None:
    running = train_stats([(job(), JobState("RUNNING", epoch=2, epochs=8, started=NOW - 61))], NOW)["tiny"]
    assert (running["epoch"], running["total_epochs"]) == (2, 8)
    assert running["current_time"] == "0:01:01"
    assert "total_time" not in running
    ended = train_stats([(job(), JobState("DONE", metric=0.8, started=NOW - 61, ended=NOW - 1))], NOW)["tiny"]
    assert ended["total_time"] == "0:01:00"
    assert ended["best_metric"] == 0.8


def test_the_first_entry_is_the_training_to_look_at() -> None:
    """Slicer and OHIF take the first entry, whatever model is chosen."""
    waiting, ended, running = JobState(), JobState("DONE", ended=NOW), JobState("RUNNING", started=NOW)
    jobs = [
        (job(6, kind="score"), running),
        (job(5, "b"), ended),
        (job(4, "a"), waiting),
        (job(3, "c"), waiting),
        (job(2, "a"), running),
        (job(1, "b"), JobState("ERROR", ended=NOW)),
    ]
    said = train_stats(jobs, NOW)
    assert {name: one["status"] for name, one in said.items()} == {"a": "RUNNING", "b": "DONE", "c": "SUBMITTED"}
    assert list(said) == ["a", "b", "c"]


def test_versions_are_counted_by_what_became_of_them() -> None:
    def card(number: int, status: str) -> VersionCard:
        id = f"{number:04d}-1f2e3d4c"
        return VersionCard(id, "tiny", "", "2026-01-01", "ann", "trained", None, status, why="x")  # type: ignore[arg-type]

    said = versions("0002-1f2e3d4c", [card(3, "refused"), card(2, "published"), card(1, "published")])
    assert (said["serving"], said["published"], said["refused"]) == ("0002-1f2e3d4c", 2, 1)
    assert said["newest"]["status"] == "refused"
    assert versions(SHIPPED, []) == {"serving": SHIPPED, "published": 0, "refused": 0}
