"""Models that drive a network are warm before somebody clicks, and what cannot be warmed stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clicking import clickable
from tumorseg.adapters.inference.report import JobReport
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError


def test_each_network_looks_and_answers_once_and_no_other_model_does(tmp_path: Path) -> None:
    place = Workplace.open(clickable(tmp_path))
    try:
        told: list[JobReport] = []
        place.engine.queue.observer = told.append
        place.interactive.warm_up()
        models = place.interactive.models
        assert (models.get("network").encodings, models.get("network").answers) == (1, 1)  # type: ignore[attr-defined]
        assert models.get("balls").encodings == 0  # type: ignore[attr-defined]
        assert place.interactive.nbytes() == 0, "noise is not kept"
        assert [report.outcome for report in told] == ["done"], "the look is the server's own, and not counted"
    finally:
        place.close()


def test_a_network_that_cannot_be_warmed_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Workplace.open(clickable(tmp_path, interactive="network"))
    try:
        model = place.interactive.models.get("network")

        def fail(*args: object) -> None:
            raise InputError("expected three sequences")

        monkeypatch.setattr(model, "encode", fail)
        place.interactive.warm_up()
    finally:
        place.close()
