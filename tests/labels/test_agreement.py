"""Agreement by hand: overlaps that can be counted on the fingers, and a consensus that is known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.labels.test_checks import slicer_file
from tumorseg.errors import InputError
from tumorseg.geometry import Grid, Reorientation
from tumorseg.io.write import write_segmentation
from tumorseg.labels.agreement import (
    CONSENSUS,
    annotators_heads,
    compare,
    consensus,
    dice_matrix,
    masks_by_annotator,
    masks_of,
    mean_of_pairs,
)
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.types import LabelVersion, Provenance
from tumorseg.types import Segmentation

GRID = Grid((2, 4, 6), np.diag([1.0, 2.0, 3.0, 1.0]))


def box(width: int, start: int = 0, k: int = 0) -> NDArray[np.bool_]:
    """``4 * width`` voxels of slice ``k``, from column ``start`` on."""
    mask = np.zeros(GRID.shape, bool)
    mask[k, :, start : start + width] = True
    return mask


def test_dice_counted_by_hand() -> None:
    # 12 and 8 voxels, 8 in both: 16/20. 12 and 4 apart: 0. 8 and 4 apart: 0.
    matrix = dice_matrix([box(3), box(2), box(1, start=5)])
    assert matrix.tolist() == [[1, 0.8, 0], [0.8, 1, 0], [0, 0, 1]]
    assert mean_of_pairs(matrix) == pytest.approx(0.8 / 3)


def test_nothing_marked_by_both_is_perfect_agreement() -> None:
    nothing = box(0)
    assert dice_matrix([nothing, nothing, box(1)]).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_a_class_that_somebody_lacks_is_empty_there() -> None:
    found = compare({"ann": {"tumor": box(2), "cyst": box(1, 4)}, "bob": {"tumor": box(2)}})
    assert found.annotators == ("ann", "bob")
    assert found.dice["cyst"].tolist() == [[1, 0], [0, 1]]
    assert found.means == {"cyst": 0.0, "tumor": 1.0}
    assert found.marked[0, 1] == pytest.approx(2 * 8 / (12 + 8))


def test_two_who_found_nothing_agree() -> None:
    found = compare({"ann": {}, "bob": {}})
    assert found.dice == {}
    assert found.marked.tolist() == [[1, 1], [1, 1]]
    assert consensus({"ann": {}, "bob": {}}) == {}


def test_one_alone_cannot_agree() -> None:
    with pytest.raises(InputError, match="at least two"):
        compare({"ann": {"tumor": box(1)}})
    with pytest.raises(InputError, match="at least two"):
        consensus({})


def test_staple_follows_two_against_one() -> None:
    truth = box(3)
    careless = truth.copy()
    careless[1, 0, 5] = True
    careless[0, 0, 0] = False
    marked = {"ann": {"tumor": truth}, "bob": {"tumor": truth}, "eve": {"tumor": careless}}
    assert np.array_equal(consensus(marked)["tumor"], truth)


def test_staple_of_equal_and_of_empty_masks() -> None:
    same = consensus({"ann": {"tumor": box(2)}, "bob": {"tumor": box(2)}})
    assert np.array_equal(same["tumor"], box(2))
    empty = consensus({"ann": {"tumor": box(0)}, "bob": {"tumor": box(0)}})
    assert not empty["tumor"].any()


def test_several_classes_go_with_the_majority_and_never_overlap() -> None:
    ann = {"cyst": box(2, 4), "tumor": box(3)}
    eve = {"cyst": box(3, 0), "tumor": box(2, 4)}  # took one for the other
    found = consensus({"ann": ann, "bob": ann, "eve": eve})
    assert np.array_equal(found["tumor"], box(3))
    assert np.array_equal(found["cyst"], box(2, 4))
    overlapping = {"cyst": box(2), "tumor": box(3)}
    with pytest.raises(InputError, match="overlap"):
        consensus({"ann": overlapping, "bob": ann})


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        compare({"ann": {"tumor": box(1)}, "bob": {"tumor": np.zeros((1, 2, 3), bool)}})


def test_the_newest_of_every_annotator_in_any_order_of_voxels(tmp_path: Path) -> None:
    history = LabelHistory(tmp_path / "labels")

    def save(author: str, mask: NDArray[np.bool_], turn: Reorientation | None = None, named: bool = True) -> None:
        grid, voxels = (turn.grid(GRID), turn.apply(mask)) if turn else (GRID, mask)
        file = write_segmentation(tmp_path / "a.nii.gz", Segmentation(voxels.astype(np.uint8), grid, {"tumor": 1}))
        info = {"label_info": [{"name": "tumor", "idx": 1}]} if named else {}
        history.save("case", "final", file, Provenance(author), info)

    save("ann", box(1))
    save("ann", box(3))
    save("bob", box(2), Reorientation((2, 1, 0), (True, False, True)))
    save("cat", box(2), named=False)
    save(CONSENSUS, box(0))
    assert set(annotators_heads(history, "case", "final")) == {"ann", "bob", "cat"}
    found = compare(masks_by_annotator(history, "case", "final", GRID))
    assert list(found.dice) == ["tumor"]
    assert found.dice["tumor"].tolist() == [[1, 0.8, 0.8], [0.8, 1, 1], [0.8, 1, 1]]
    history.close()


def test_what_was_taken_over_unchanged_is_no_second_opinion(tmp_path: Path) -> None:
    history = LabelHistory(tmp_path / "labels")

    def save(author: str, mask: NDArray[np.bool_], parent: str | None = None) -> LabelVersion:
        file = write_segmentation(tmp_path / "a.nii.gz", Segmentation(mask.astype(np.uint8), GRID, {}))
        return history.save("case", "final", file, Provenance(author), expected_parent=parent)

    first = save("ann", box(3))
    save("bob", box(2))
    restored = history.restore(first.uid, Provenance("rita"))
    history.annotate(restored, {"seen": True}, Provenance("rita"))
    assert set(annotators_heads(history, "case", "final")) == {"ann", "bob"}
    # Who drew the same on their own did have an opinion.
    save("cat", box(3))
    assert set(annotators_heads(history, "case", "final")) == {"ann", "bob", "cat"}
    head = history.head("case", "final")
    assert head is not None
    save("rita", box(1), parent=head.uid)
    assert set(annotators_heads(history, "case", "final")) == {"ann", "bob", "cat", "rita"}
    history.close()


def test_segments_are_compared_by_name(tmp_path: Path) -> None:
    layers = np.stack([box(3), box(2)]).astype(np.uint8)
    file = slicer_file(tmp_path / "a.seg.nrrd", layers, GRID, [("oedema", 1, 0), ("tumor", 1, 1)])
    masks = masks_of(file, {}, GRID)
    assert np.array_equal(masks["oedema"], box(3))
    assert np.array_equal(masks["tumor"], box(2))
