"""A click into the picture that OHIF shows, in headless Chromium, lands in the voxel under the pointer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clients.ohif_clicks import PointsTab
from tests.clients.ohif_viewer import Shown, Viewer, viewer
from tests.dicom.phantoms import (
    BLOCKS,
    CENTRE,
    CYST,
    GRIDS,
    TUMOUR,
    as_displayed,
    finer,
    sample,
    write_dicom_series,
    write_enhanced_mr,
)
from tests.serving import ROOT, dice, live, read_label, seen_from
from tumorseg.interactive.robot import next_click
from tumorseg.models.slicewise import WEIGHTS
from tumorseg.registry import DEFAULT_MODEL

pytestmark = pytest.mark.timeout(900)

#: Pixels of the size that scanners make: what is clicked on covers some dozens of them.
TIMES = 4
#: Overlap with a block of even brightness that a click in it must reach.
FOUND = 0.8
#: What three clicks reach at least on the tumour of the sample study.
SAMPLE_FOUND = 0.85
#: How bright a block is shown at least, and nothing else of the phantom, whatever window the viewer chooses.
BRIGHT = 0.5
#: What a click takes away lies around it: the other block is 50 mm away.
NEAR_MM = 20.0
#: Voxels, along each axis, between what is asked for and what is under the pointer: half a slice of the view, a pixel.
ASIDE = 1.5
#: The panel numbers the segments by name: cyst, tumor.
SEGMENT = 2
CASES = [("single", "oblique sagittal")]
MORE_CASES = [
    *(("single", name) for name in GRIDS if ("single", name) not in CASES),
    *(("enhanced", name) for name in ("oblique", "permuted oblique")),
]
SAMPLE = ROOT / "sample_data"
CLICK_WEIGHTS = WEIGHTS / "clicks.safetensors"
#: Where the picture goes; `docs` when it is to be renewed.
PICTURES = os.environ.get("TUMORSEG_PICTURES")
CONF = {"models": "threshold,blobs", "interactive": "clicks_any,scribbles"}


def _write(root: Path, kind: str, name: str) -> None:
    grid = finer(GRIDS[name], TIMES)
    said = {"PatientName": f"{name}^{kind}", "PatientID": f"{name} {kind}", "SeriesDescription": "FLAIR"}
    if kind == "single":
        write_dicom_series(root / f"{name} {kind}", grid, sample(grid), **said)
    else:
        write_enhanced_mr(root / f"{name} {kind}.dcm", grid, sample(grid), **said)


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("few")
    for case in CASES:
        _write(root / "studies", *case)
    with live(root / "studies", root, **CONF) as address:
        yield address


@pytest.fixture(scope="module")
def large_server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("many")
    for case in MORE_CASES:
        _write(root / "studies", *case)
    with live(root / "studies", root, **CONF) as address:
        yield address


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_click_lands_in_the_voxel_under_the_pointer(browser: Any, server: str, kind: str, name: str) -> None:
    with viewer(browser, server) as window:
        _click_through(window, kind, name)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), MORE_CASES)
def test_so_it_does_on_any_grid(browser: Any, large_server: str, kind: str, name: str) -> None:
    with viewer(browser, large_server) as window:
        _click_through(window, kind, name)


def _click_through(window: Viewer, kind: str, name: str) -> None:
    """Click into one block, another, out of a corner, each in another plane; take all back; click what cannot be."""
    window.open_study(f"{name}, {kind}")
    window.connect()
    tab = PointsTab(window)
    tab.open("clicks_any")
    assert tab.models == ["clicks_any"]
    assert (tab.segments, tab.chosen) == (["background", "cyst", "tumor"], "cyst")
    image = window.image()
    assert image.grid.same_as(as_displayed(finer(GRIDS[name], TIMES)))
    tab.choose("tumor")
    tumour, first = _answer(window, tab, _middle(TUMOUR), 0)
    assert tab.sent[-1]["foreground"] == [tumour]
    assert tab.sent[-1]["label"] == "tumor"
    assert dice(first.voxels, image.voxels == TUMOUR) > FOUND
    assert _at(first, tumour) == SEGMENT

    cyst, both = _answer(window, tab, _middle(CYST), 1)
    assert tab.sent[-1]["foreground"] == [tumour, cyst]
    assert dice(both.voxels, np.isin(image.voxels, (TUMOUR, CYST))) > FOUND
    assert (_at(first, cyst), _at(both, cyst), _at(both, tumour)) == (0, SEGMENT, SEGMENT)

    # "Run" with the background still chosen: the segment is meant all the same.
    tab.choose("background")
    corner, without = _answer(window, tab, _middle(TUMOUR) + 7.0, 2)
    assert (tab.sent[-1]["background"], tab.sent[-1]["label"]) == ([corner], "tumor")
    assert (_at(both, corner), _at(without, corner)) == (SEGMENT, 0)
    assert (_at(without, tumour), _at(without, cyst)) == (SEGMENT, SEGMENT)
    assert not ((without.voxels > 0) & (both.voxels == 0)).any()
    taken = np.argwhere((without.voxels == 0) & (both.voxels > 0))[:, ::-1]
    away = image.grid.points(taken) - image.grid.points(np.array([corner]))
    assert np.linalg.norm(away, axis=1).max() < NEAR_MM

    tab.clear()
    tab.run()
    assert not window.labels().voxels.any()

    # One voxel that belongs to the segment and does not: why there is no answer is said.
    for segment in ("tumor", "background"):
        tab.choose(segment)
        tab.click(_middle(TUMOUR), 2)
    assert "is said to belong to the segment and not to belong to it" in tab.refused()
    assert window.errors == []


def _middle(value: int) -> NDArray[np.float64]:
    """Return the middle of a block of the phantom, LPS mm."""
    low, high = (np.array(end) for end in BLOCKS[value])
    middle: NDArray[np.float64] = CENTRE + (low + high) / 2
    return middle


def _answer(window: Viewer, tab: PointsTab, point_lps: NDArray[np.float64], view: int) -> tuple[list[int], Shown]:
    """Click on a point in one of the views and press "Run".

    Returns:
        The voxel ``[i, j, k]`` that was under the pointer, and the labelmap with the answer.
    """
    before = window.labels()
    clicked = tab.click(point_lps, view)
    index = before.grid.indices(clicked.point_lps[None])[0]
    assert np.abs(index - before.grid.indices(point_lps[None])[0]).max() <= ASIDE
    voxel = [int(at) for at in index.round()]
    if not _at(before, voxel):  # under the colour of a segment the picture is another
        assert clicked.bright > BRIGHT
    tab.run()
    return voxel, window.labels()


def _at(labels: Shown, voxel: list[int]) -> int:
    i, j, k = voxel
    return int(labels.voxels[k, j, i])


@pytest.mark.slow
def test_the_sample_study_clicked(browser: Any, tmp_path: Path) -> None:
    """Three clicks of a simulated person, who sees the first series of the study only; the network sees all three."""
    if not CLICK_WEIGHTS.is_file():
        pytest.skip(f"{CLICK_WEIGHTS.name} does not ship")
    conf = {"models": DEFAULT_MODEL, "interactive": "clicks"}
    with live(SAMPLE / "lgg_dicom", tmp_path, **conf) as address, viewer(browser, address) as window:
        window.open_study("LGG, Sample")
        window.connect()
        tab = PointsTab(window)
        tab.open("clicks")
        image = window.image()
        truth, place = read_label(SAMPLE / "expected" / "lgg_truth.nii.gz")
        tumour = seen_from(truth > 0, place, image.grid)
        marked = np.zeros_like(tumour)
        for _ in range(3):
            click = next_click(marked, tumour)
            assert click is not None
            tab.choose("tumour" if click.positive else "background")
            point = image.grid.points(np.array([click.at]))[0]
            tab.click(point)
            tab.run()
            marked = window.labels().voxels > 0
        assert dice(marked, tumour) > SAMPLE_FOUND
        window.picture(tmp_path / "ohif-clicks.png", point)
        assert window.errors == []
    if PICTURES:
        shutil.copy(tmp_path / "ohif-clicks.png", PICTURES)
