from __future__ import annotations

from pathlib import Path

import pytest

from tumorseg.adapters.jobs import records
from tumorseg.adapters.jobs.reporter import Reporter
from tumorseg.adapters.jobs.types import Job, JobState

ID = "20261121-120000-000000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records.write_job(tmp_path, Job(ID, "train", "tiny", {}, "anna", 0.0))
    records.write_state(tmp_path, JobState("RUNNING", attempts=2, started=1.0))
    return tmp_path


def test_progress_costs_nothing_until_it_is_flushed(folder: Path) -> None:
    before = (folder / records.STATE).stat()
    now = iter(range(100_000))
    reporter = Reporter(folder, clock=lambda: float(next(now)))
    for step in range(10_000):
        reporter.progress(step / 20_000, epoch=2, epochs=4, metric=0.75)
    assert (folder / records.STATE).stat().st_ino == before.st_ino
    reporter.flush()
    state = records.read_state(folder)
    assert (state.status, state.epoch, state.epochs, state.metric) == ("RUNNING", 2, 4, 0.75)
    assert (state.attempts, state.started) == (2, 1.0)
    assert state.fraction == pytest.approx(0.5, abs=1e-3)
    assert state.eta_s == pytest.approx(10_000, rel=0.01)
    written = (folder / records.STATE).stat()
    reporter.flush()  # nothing new
    assert (folder / records.STATE).stat().st_ino == written.st_ino


@pytest.mark.parametrize("fraction", [float("nan"), float("inf"), -1.0, 7.0])
def test_a_fraction_stays_one_and_a_metric_json(folder: Path, fraction: float) -> None:
    reporter = Reporter(folder)
    reporter.progress(0.5, metric=0.25)
    reporter.progress(fraction, metric=float("nan"))
    reporter.flush()
    state = records.read_state(folder)
    assert 0 <= state.fraction <= 1
    assert state.metric == 0.25


def test_only_getting_further_than_ever_forgives_a_death(folder: Path) -> None:
    records.write_state(folder, JobState("RUNNING", 0.5, deaths=2, furthest=0.5))
    reporter = Reporter(folder)
    for fraction, deaths in ((0.4, 2), (0.5, 2), (0.505, 2), (0.52, 0)):
        reporter.progress(fraction)
        reporter.flush()
        assert records.read_state(folder).deaths == deaths
    assert records.read_state(folder).furthest == 0.52


def test_only_an_error_is_refused(folder: Path) -> None:
    assert Reporter(folder).finish("no tumour in any label", refused=True).refused
    assert records.read_state(folder).refused
    (folder / records.CANCEL).touch()
    records.write_state(folder, JobState("RUNNING"))
    stopped = Reporter(folder)
    stopped.stop()
    assert stopped.finish("cut off", refused=True) == records.read_state(folder)
    assert (records.read_state(folder).status, records.read_state(folder).refused) == ("STOPPED", False)


def test_what_returns_is_done(folder: Path) -> None:
    reporter = Reporter(folder)
    reporter.result({"dice": {"a": 0.5, "b": float("nan")}, "cases": (1, 2)})
    assert reporter.finish().status == "DONE"
    state = records.read_state(folder)
    assert (state.fraction, state.result, state.eta_s) == (1.0, {"dice": {"a": 0.5, "b": None}, "cases": [1, 2]}, None)
    assert state.ended is not None
    reporter.progress(0.1)
    reporter.flush()
    reporter.finish("too late")
    assert records.read_state(folder) == state


def test_a_result_that_is_no_json_is_an_error_where_it_is_said(folder: Path) -> None:
    with pytest.raises(TypeError):
        Reporter(folder).result({"folder": folder})


def test_what_leaves_because_it_was_told_to_is_stopped_or_goes_on_later(folder: Path) -> None:
    reporter = Reporter(folder)
    assert not reporter.stopped()
    reporter.stop()
    assert reporter.stopped()
    assert reporter.finish().status == "SUBMITTED"
    (folder / records.CANCEL).touch()
    cancelled = Reporter(folder)
    cancelled.stop()
    assert cancelled.finish("it broke while it stopped").status == "STOPPED"


def test_what_was_published_before_the_cancel_came_is_done(folder: Path) -> None:
    (folder / records.CANCEL).touch()
    reporter = Reporter(folder)
    reporter.result({"version": "0002"})
    reporter.stop()
    assert reporter.finish().status == "DONE"


def test_an_error_is_one_clean_line(folder: Path) -> None:
    reporter = Reporter(folder)
    reporter.progress(0.5)
    state = reporter.finish("could not\n  reach http://anna:secret@pacs/rs " + "x" * 5000)
    assert state.status == "ERROR"
    assert state.fraction == 0.5
    assert state.error.startswith("could not reach http://***@pacs/rs xx")
    assert len(state.error) <= 1000
