"""Which interactive models a server offers, and what it says of the others."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tumorseg.adapters.interactive.models import InteractiveModels
from tumorseg.adapters.workplace import Workplace
from tumorseg.config import AppConfig


def weights(tmp_path: Path, kind: str) -> dict[str, Any]:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"not a checkpoint")
    chosen = {"damaged": file, "missing": tmp_path / "gone.pt", "unreadable": tmp_path / ("x" * 300)}
    return {"sam2_weights": chosen[kind], "nninteractive_weights": chosen[kind]}


@pytest.mark.parametrize("kind", ["damaged", "missing", "unreadable"])
def test_weights_that_cannot_be_used_are_one_line_at_the_start_and_the_other_models_are_offered(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "studies").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "studies" / "a.png")
    names = ("scribbles", "sam2", "nninteractive")
    config = AppConfig(studies=str(tmp_path / "studies"), interactive=names, **weights(tmp_path, kind))
    workplace = Workplace.open(config)
    desk = workplace.interactive
    with caplog.at_level(logging.DEBUG, "tumorseg.adapters.interactive"):
        desk.warm_up()
        assert [list(desk.models.describe()) for _ in range(2)] == [["scribbles"]] * 2
    workplace.close()
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(" is not offered: ")[0] for line in said] == [
        "interactive model sam2",
        "interactive model nninteractive",
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert not any("\n" in line for line in said)


def broken(weights: Path | None = None, device: str = "auto") -> Any:
    raise KeyError("a site's own mistake")


def test_a_sites_factory_that_fails_takes_no_other_model_away(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    extra = {"ours": f"{__name__}:broken"}
    config = AppConfig(studies=str(tmp_path / "studies"), interactive=("scribbles", "ours"), extra_interactive=extra)
    assert list(InteractiveModels(config).describe()) == ["scribbles"]
