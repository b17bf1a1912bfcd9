"""Clicks, boxes and strokes of the unmodified Slicer module on Slicer's core land where they were placed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from tests.clients.test_slicer import module_folder
from tests.dicom.phantoms import (
    BLOCKS,
    CENTRE,
    CYST,
    GRIDS,
    TUMOUR,
    as_displayed,
    finer,
    grid_points,
    phantom_points,
    sample,
    write_dicom_series,
    write_nifti,
)
from tests.serving import live
from tumorseg.geometry import Grid
from tumorseg.io.write import write_segmentation
from tumorseg.types import Segmentation

SCRIPT = Path(__file__).with_name("slicer_clicks.py")
#: Pixels of the size that scanners make: what is clicked on covers some dozens of them.
TIMES = 4
#: Overlap with a block of even brightness that a click in it must reach.
FOUND = 0.8
#: What a click takes away lies around it: the other block is 50 mm away.
NEAR_MM = 20.0
Points = NDArray[np.float64]

CASES = [("flipped slices", "nifti"), ("oblique sagittal", "session")]
MORE_CASES = [
    *((name, "nifti") for name in GRIDS if (name, "nifti") not in CASES),
    *((name, kind) for name in ("oblique", "flipped", "permuted oblique") for kind in ("dicom", "session")),
]
ALL = [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in MORE_CASES)]
CONF = {"models": "threshold,blobs", "interactive": "clicks_any,scribbles"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    module_folder()
    return tmp_path_factory.mktemp("clicks")


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[str]:
    """Serve files; whatever is put beside the first one later is found too."""
    write(root / "studies", CASES[0][0])
    with live(root / "studies", root, **CONF) as address:
        yield address


def write(folder: Path, name: str) -> Path:
    """Write the phantom on a grid as NIfTI."""
    grid, file = finer(GRIDS[name], TIMES), folder / f"{name.replace(' ', '_')}.nii.gz"
    return file if file.is_file() else write_nifti(file, grid, sample(grid))


class Slicer:
    """The module with the phantom on one grid open; each call is a fresh start of it."""

    def __init__(self, server: str, scratch: Path, opened: dict[str, str], grid: Grid) -> None:
        self._server, self._scratch, self._opened, self.grid = server, scratch, opened, grid

    def do(self, model: str, *steps: dict[str, Any], segment: str = "tumor") -> list[dict[str, Any]]:
        """Work through the steps; return what is to be seen after each."""
        plan = {"model": model, "segment": segment, "steps": steps, **self._opened}
        scratch = self._scratch / model
        scratch.mkdir()
        command = [sys.executable, str(SCRIPT), str(module_folder()), self._server, str(scratch), json.dumps(plan)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        assert not said["errors"], said["errors"][0]
        assert said["models"]["clicks_any"] == "deepgrow"
        assert said["models"]["scribbles"] == "scribbles"
        assert said["session"] == ("volume" in self._opened)
        return list(said["seen"])

    def index(self, point_lps: Points) -> list[int]:
        """Return the voxel ``[i, j, k]`` whose middle is nearest to a point, as Slicer counts: k along i x j."""
        return [int(index) for index in as_displayed(self.grid).indices(point_lps[None])[0].round()]


@pytest.fixture
def slicer(request: pytest.FixtureRequest, root: Path, server: str, tmp_path: Path) -> Iterator[Slicer]:
    name, kind = request.param
    grid = finer(GRIDS[name], TIMES)
    if kind == "session":
        yield Slicer(server, tmp_path, {"volume": str(write(tmp_path, name))}, grid)
    elif kind == "nifti":
        yield Slicer(server, tmp_path, {"image": write(root / "studies", name).name.removesuffix(".nii.gz")}, grid)
    else:
        written = write_dicom_series(tmp_path / "studies" / "series", grid, sample(grid), SeriesDescription="FLAIR")
        series = str(dcmread(written[0], stop_before_pixels=True).SeriesInstanceUID)
        with live(tmp_path / "studies", tmp_path, **CONF) as own:
            yield Slicer(own, tmp_path, {"image": series}, as_displayed(grid))


@pytest.mark.parametrize("slicer", ALL, indirect=True)
def test_clicks_land_where_they_were_placed(slicer: Slicer) -> None:
    """One block, two, the first one again without a corner, nothing: at their places in the patient."""
    tumour, cyst = middle(TUMOUR), middle(CYST)
    corner = tumour + 7.0
    first, both, without, empty = slicer.do(
        "clicks_any", point(tumour), point(cyst), point(corner, positive=False), {"clear": True}
    )
    assert overlap(first, slicer.grid, TUMOUR) > FOUND
    assert overlap(both, slicer.grid, TUMOUR, CYST) > FOUND
    assert first["sent"][0]["foreground"] == [slicer.index(tumour)]
    assert both["sent"][0]["foreground"] == [slicer.index(tumour), slicer.index(cyst)]
    assert without["sent"][0]["background"] == [slicer.index(corner)]
    assert holds(first, slicer, tumour)
    assert not holds(first, slicer, cyst)
    assert holds(both, slicer, corner)
    assert not holds(without, slicer, corner)
    assert holds(without, slicer, tumour)
    assert holds(without, slicer, cyst)
    # What was taken away lies around the click, and nothing came.
    assert not len(difference(without, both))
    taken = difference(both, without)
    assert len(taken)
    assert np.linalg.norm(taken - corner, axis=1).max() < NEAR_MM
    # The points are shown again at the voxels that were sent, and without points nothing is marked.
    assert within_a_voxel(both["placed"]["positive"], [tumour, cyst], slicer.grid)
    assert within_a_voxel(without["placed"]["negative"], [corner], slicer.grid)
    assert empty["points_ras"] == []
    assert all(seen["segments"]["cyst"] == 0 for seen in (first, both, without, empty))


@pytest.mark.parametrize("slicer", ALL, indirect=True)
def test_strokes_land_where_they_were_painted(slicer: Slicer, tmp_path: Path) -> None:
    tumour, cyst = middle(TUMOUR), middle(CYST)
    strokes = {
        "foreground": painted(tmp_path / "foreground.nii.gz", slicer.grid, tumour, 5.0),
        "background": painted(tmp_path / "background.nii.gz", slicer.grid, tumour - np.array([25.0, 0, 0]), 5.0),
    }
    more = {"foreground": painted(tmp_path / "more.nii.gz", slicer.grid, cyst, 5.0)}
    first, both = slicer.do("scribbles", {"strokes": strokes}, {"strokes": more})
    assert overlap(first, slicer.grid, TUMOUR) > FOUND
    assert overlap(both, slicer.grid, TUMOUR, CYST) > FOUND
    assert first["sent"][0]["selected_label_name"] == "tumor"
    assert min(first["segments"][f"{kind}_scribbles"] for kind in strokes) > 0
    assert both["segments"]["cyst"] == 0
    assert both["segments"]["foreground_scribbles"] > first["segments"]["foreground_scribbles"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "slicer",
    [(name, "nifti") for name in ("axial", "flipped", "flipped slices", "permuted", "sagittal")],
    indirect=True,
)
def test_a_box_lands_where_it_was_drawn(slicer: Slicer) -> None:
    """The module sends two corners of the box: on an oblique image those are not what was drawn."""
    low, high = (np.array(end) for end in BLOCKS[TUMOUR])
    centre, size = ras(CENTRE + (low + high) / 2), (high - low + 8).tolist()
    (seen,) = slicer.do("clicks_any", {"box": {"center": centre, "size": size}})
    assert len(seen["sent"][0]["roi"]) == 6
    assert overlap(seen, slicer.grid, TUMOUR) > FOUND


def middle(value: int) -> Points:
    """Return the middle of a block of the phantom, LPS mm."""
    low, high = BLOCKS[value]
    return CENTRE + (np.array(low) + np.array(high)) / 2


def ras(point_lps: Points) -> list[float]:
    """Return a point as the module's coordinates have it."""
    return [float(value) for value in point_lps * [-1, -1, 1]]


def point(point_lps: Points, *, positive: bool = True) -> dict[str, Any]:
    """Return the step of the plan that clicks here."""
    return {"point": ras(point_lps), "positive": positive}


def marked(seen: dict[str, Any]) -> Points:
    """Return the LPS mm of the segment's voxels, ``(N, 3)``."""
    return np.array(seen["points_ras"], float).reshape(-1, 3) * [-1, -1, 1]


def overlap(seen: dict[str, Any], grid: Grid, *values: int) -> float:
    """Return the Dice of the segment with blocks of the phantom."""
    wanted = int(np.isin(sample(grid), values).sum())
    points = marked(seen)
    return 2 * int(np.isin(phantom_points(points), values).sum()) / (len(points) + wanted)


def holds(seen: dict[str, Any], slicer: Slicer, point_lps: Points) -> bool:
    """Tell whether the voxel under a point belongs to the segment."""
    at = as_displayed(slicer.grid).points(np.array([slicer.index(point_lps)]))
    points = marked(seen)
    return bool(len(points) and np.linalg.norm(points - at, axis=1).min() < 0.01)


def difference(one: dict[str, Any], other: dict[str, Any]) -> Points:
    """Return the points of one segment that are not the other's."""
    known = {tuple(at) for at in marked(other).round(2).tolist()}
    return np.array([at for at in marked(one).tolist() if tuple(np.round(at, 2)) not in known]).reshape(-1, 3)


def within_a_voxel(placed: Sequence[Sequence[float]], points_lps: Sequence[Points], grid: Grid) -> bool:
    """Tell whether the points of the scene lie where they were placed, to the voxel."""
    away = grid.indices(np.array(placed) * [-1, -1, 1]) - grid.indices(np.array(points_lps))
    return bool(np.abs(away).max() <= 0.51)


def painted(file: Path, grid: Grid, centre: Points, radius_mm: float) -> str:
    """Write what a round brush paints at a place, as a label map."""
    near = np.linalg.norm(grid_points(grid) - centre, axis=1) < radius_mm
    write_segmentation(file, Segmentation(near.reshape(grid.shape).astype(np.uint8), grid, {}))
    return str(file)
