"""Which object a click means, and by what it is known again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.interactive.instances import instance_from_json, instance_id, instance_to_json, pick
from tumorseg.types import Detections, Instance

GRID = Grid((4, 20, 24), np.eye(4))


def block(low: tuple[int, int, int], high: tuple[int, int, int], score: float = 0.9, label: str = "tumor") -> Instance:
    """A block of voxels from ``low`` to ``high`` (i, j, k), half-open, its last column left out."""
    box = np.array([*low, *high], np.float64)
    mask = np.ones(tuple(b - a for a, b in zip(low, high, strict=True))[::-1], bool)
    mask[:, :, -1] = False
    return Instance(label, score, box, mask, low[::-1])


def found(*instances: Instance) -> Detections:
    return Detections(instances, GRID, {"cyst": 1, "tumor": 2})


def test_the_inner_one_of_two_can_be_clicked_and_the_outer_one_beside_it() -> None:
    detections = found(block((2, 2, 0), (16, 16, 3), 0.95), block((6, 6, 1), (10, 10, 2), 0.6))
    assert pick(detections, (7, 7, 1)) == 1
    assert pick(detections, (3, 3, 1)) == 0
    assert pick(detections, (7, 7, 0)) == 0
    assert pick(detections, (20, 3, 1)) is None
    assert pick(found(), (3, 3, 1)) is None


def test_a_mask_counts_before_any_box_and_of_boxes_the_smallest() -> None:
    # The last column of a block is of its box and not of its mask.
    wide, small = block((0, 0, 0), (20, 20, 4), 0.9), block((4, 4, 1), (8, 8, 2), 0.8)
    assert pick(found(small), (7, 5, 1)) == 0
    assert pick(found(wide, small), (7, 5, 1)) == 0
    assert pick(found(wide, small), (19, 5, 1)) == 0
    crossing = block((7, 0, 0), (9, 20, 4), 0.7)
    assert pick(found(small, crossing), (8, 5, 1)) == 1
    assert pick(found(small, crossing), (8, 5, 3)) == 1


def test_half_open_boxes_end_where_their_last_voxel_does() -> None:
    one = block((4, 4, 1), (8, 8, 2))
    assert [pick(found(one), (i, 5, 1)) for i in (3, 4, 7, 8)] == [None, 0, 0, None]
    cut = replace(one, box=np.array([4.6, 4, 1, 7.4, 8, 2]), mask=np.zeros_like(one.mask))
    assert [pick(found(cut), (i, 5, 1)) for i in (4, 5, 6, 7)] == [None, 0, 0, None]


def test_of_two_equal_ones_the_more_certain_one() -> None:
    sure, unsure = block((4, 4, 1), (8, 8, 2), 0.9), block((4, 4, 1), (8, 8, 2), 0.5, "cyst")
    assert pick(found(unsure, sure), (5, 5, 1)) == 0
    assert found(unsure, sure).instances[0] is sure


def test_an_object_is_known_by_its_voxels_its_class_and_who_found_it() -> None:
    one = block((4, 4, 1), (8, 8, 2))
    known = instance_id(one, "net", "v1")
    padded = Instance(one.label, 0.1, one.box, np.pad(one.mask, ((0, 1), (1, 0), (2, 3))), (1, 3, 2))
    assert instance_id(padded, "net", "v1") == known  # cut otherwise, scored otherwise, the same voxels
    moved = replace(one, origin=(2, 4, 4))
    turned = replace(one, mask=one.mask[:, :, ::-1])
    others = [(replace(one, label="cyst"), "net", "v1"), (moved, "net", "v1"), (turned, "net", "v1")]
    others += [(one, "net", "v2"), (one, "other", "v1")]
    assert known not in {instance_id(*other) for other in others}


def test_an_object_comes_back_from_json_as_it_was() -> None:
    one = block((4, 3, 0), (9, 8, 3), 0.4321)
    back = instance_from_json(json.loads(json.dumps(instance_to_json(one))))
    assert instance_id(back, "net", "v1") == instance_id(one, "net", "v1")
    assert (back.label, back.score) == ("tumor", 0.4321)
    np.testing.assert_array_equal(back.box, one.box)


@pytest.mark.parametrize("broken", [{"shape": [1, 2]}, {"mask": {}}, {"score": "high"}, {"origin": None}])
def test_a_damaged_one_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(InputError):
        instance_from_json({**instance_to_json(block((4, 3, 0), (9, 8, 3))), **broken})
