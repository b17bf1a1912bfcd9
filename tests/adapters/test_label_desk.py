"""What people do together with labels, over a folder of real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, read_label, tumour_mask
from tumorseg.access.types import Principal, Role
from tumorseg.adapters.label_desk import LabelDesk
from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import Reorientation
from tumorseg.io.write import write_segmentation
from tumorseg.labels.agreement import CONSENSUS
from tumorseg.labels.types import LabelVersion, Provenance
from tumorseg.types import Segmentation

GRID = GRIDS["oblique"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[LabelDesk]:
    for name in ("one", "two"):
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRID, sample(GRID))
    desk = LabelDesk.open(config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels"))
    yield desk
    desk.close()


def save(
    desk: LabelDesk,
    folder: Path,
    author: str,
    mask: NDArray[np.bool_],
    value: int = 3,
    turn: Reorientation | None = None,
) -> LabelVersion:
    voxels, grid = mask.astype(np.uint8) * value, GRID
    if turn is not None:
        voxels, grid = turn.apply(voxels), turn.grid(grid)
    file = write_segmentation(folder / "sent.nii.gz", Segmentation(voxels, grid, {}))
    info = {"label_info": [{"name": "tumor", "idx": value}]}
    return desk.store.save("one", "final", file, info, Provenance(author))


def test_no_lesion_is_an_empty_mask_on_the_images_voxels(desk: LabelDesk) -> None:
    version = desk.no_lesion("one", "final", Provenance("ann"))
    assert version.kind == "no_lesion"
    voxels, grid = read_label(desk.store.history.path(version))
    assert not voxels.any()
    assert grid.same_as(GRID)
    assert desk.store.labelled_by_tag() == {"final": {"one"}}
    assert desk.no_lesion("one", "final", Provenance("ann")).uid == version.uid


def test_a_consensus_keeps_whom_it_is_made_of_and_their_numbers(desk: LabelDesk, tmp_path: Path) -> None:
    truth = tumour_mask(GRID)
    careless = np.roll(truth, 3, axis=2)
    turned = Reorientation((2, 0, 1), (True, False, False))
    parents = {
        "ann": save(desk, tmp_path, "ann", truth).uid,
        "bob": save(desk, tmp_path, "bob", truth, turn=turned).uid,
        "eve": save(desk, tmp_path, "eve", careless).uid,
    }
    version = desk.consensus("one", "final", Provenance("rita"))
    assert (version.author, version.tool) == (CONSENSUS, "STAPLE, asked for by rita")
    assert version.info["parents"] == parents
    assert version.info["label_info"] == [{"name": "tumor", "idx": 3}]
    voxels, grid = read_label(desk.store.history.path(version))
    assert np.array_equal(voxels, truth * 3)
    assert grid.same_as(GRID)
    # What was estimated is nobody's opinion: it changes neither the agreement nor the next consensus.
    assert desk.agreement("one", "final").annotators == ("ann", "bob", "eve")
    assert desk.consensus("one", "final", Provenance("rita")).uid == version.uid


def test_annotators_who_number_differently_mean_the_same_class(desk: LabelDesk, tmp_path: Path) -> None:
    truth = tumour_mask(GRID)
    save(desk, tmp_path, "ann", truth, value=1)
    save(desk, tmp_path, "bob", truth, value=7)
    assert desk.agreement("one", "final").means == {"tumor": 1.0}
    assert desk.consensus("one", "final", Provenance("rita")).info["label_info"] == [{"name": "tumor", "idx": 1}]


def test_two_who_found_nothing_agree_that_there_is_nothing(desk: LabelDesk) -> None:
    for author in ("ann", "bob"):
        desk.no_lesion("one", "final", Provenance(author))
    assert desk.agreement("one", "final").marked[0, 1] == 1
    assert desk.consensus("one", "final", Provenance("rita")).kind == "no_lesion"


def test_one_annotator_is_no_consensus(desk: LabelDesk, tmp_path: Path) -> None:
    save(desk, tmp_path, "ann", tumour_mask(GRID))
    with pytest.raises(InputError, match="at least two"):
        desk.consensus("one", "final", Provenance("rita"))


def test_versions_come_newest_first_with_their_state(desk: LabelDesk, tmp_path: Path) -> None:
    first = save(desk, tmp_path, "ann", tumour_mask(GRID))
    second = desk.no_lesion("one", "final", Provenance("bob"))
    desk.reviews.add(first, "approve", Principal("rita", Role.REVIEWER, "token"))
    found = [(reviewed.version.uid, reviewed.state) for reviewed in desk.versions("one")]
    assert found == [(second.uid, "open"), (first.uid, "approved")]
    assert [reviewed.version.uid for reviewed in desk.heads()["one"]] == [second.uid]


def test_versions_of_another_image_and_unknown_images(desk: LabelDesk, tmp_path: Path) -> None:
    uid = save(desk, tmp_path, "ann", tumour_mask(GRID)).uid
    assert desk.version("one", uid).uid == uid
    with pytest.raises(NotFoundError, match="no label version"):
        desk.version("two", uid)
    for image in ("../one", "/etc/passwd", "three"):
        with pytest.raises(NotFoundError):
            desk.versions(image)


def test_an_image_that_cannot_be_read_has_no_grid(desk: LabelDesk, tmp_path: Path) -> None:
    (tmp_path / "studies" / "two.nii.gz").write_text("damaged")
    with pytest.raises(InputError, match="cannot be read now"):
        desk.no_lesion("two", "final", Provenance("ann"))
