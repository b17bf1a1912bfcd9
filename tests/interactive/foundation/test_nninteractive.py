from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tumorseg.errors import InputError, UnavailableError
from tumorseg.interactive.foundation import nninteractive
from tumorseg.interactive.foundation.nninteractive import Seen, build
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Propagate, Scribble


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in nninteractive.FILES:
        (tmp_path / name).write_text(json.dumps({}))
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "fold_0" / "checkpoint_final.pth").write_bytes(b"weights")
    return tmp_path


def test_weights_are_the_user_s_and_their_licence_is_told() -> None:
    with pytest.raises(UnavailableError, match=r"forbids commercial use.* --nninteractive-weights$"):
        build()


@pytest.mark.parametrize("missing", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
def test_a_folder_that_lacks_a_file(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(InputError, match=r"expected a folder of weights .* it has no \S+$"):
        build(folder)


def test_a_checkpoint_that_cannot_be_read(folder: Path) -> None:
    (folder / "fold_0" / "checkpoint_final.pth").unlink()
    (folder / "fold_0" / "checkpoint_final.pth").mkdir()
    with pytest.raises(InputError, match=r"cannot read the weights of nninteractive, .* \(Is a directory\)"):
        build(folder)


@pytest.mark.skipif(find_spec("nnInteractive") is not None, reason="nnInteractive is installed")
def test_without_the_package_one_line_says_what_to_install(folder: Path) -> None:
    with pytest.raises(UnavailableError, match=r"nninteractive needs .* pip install nninteractive$"):
        build(folder)


def test_prompts_in_the_package_s_words() -> None:
    seen = Seen(np.zeros((1, 6, 20, 30), np.float32), axis=0)
    assert nninteractive._told(seen, Click((3, 4, 5), False)) == [("add_point_interaction", (5, 4, 3), False)]
    box = [("add_bbox_interaction", [[2, 3], [4, 11], [3, 10]], True)]
    assert nninteractive._told(seen, Box((3, 4, 1), (9, 10, 4))) == box
    assert nninteractive._told(seen, ExtremePoints(((3, 10, 1), (9, 4, 4)))) == box
    assert nninteractive._told(seen, Propagate(1)) == []
    marks = np.zeros(seen.shape, np.int8)
    marks[2, 3, 4], marks[2, 5, 6] = 1, -1
    told = nninteractive._told(seen, Scribble(marks))
    assert [(verb, positive) for verb, _, positive in told] == [
        ("add_scribble_interaction", False),
        ("add_scribble_interaction", True),
    ]
    assert told[0][1][2, 5, 6] == told[1][1][2, 3, 4] == 1
    assert told[0][1].sum() == told[1][1].sum() == 1
