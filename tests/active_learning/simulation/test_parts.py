"""The parts of a simulation: its data, its annotator, its settings and its records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import distance_transform_edt

from tests.active_learning.simulation.small import SETTINGS, patients
from tumorseg.active_learning.simulation.annotator import annotate
from tumorseg.active_learning.simulation.data import Patients, from_folder, held_out_of, shrink, synthetic
from tumorseg.active_learning.simulation.phantoms import phantoms
from tumorseg.active_learning.simulation.records import Record, Records
from tumorseg.active_learning.simulation.settings import QUICK, REAL, Settings
from tumorseg.errors import InputError
from tumorseg.training.data import Volume
from tumorseg.training.splits import load_split

RECORD = Record(2, 5, 5, {"a": 0.5}, (("p", 3), ("q", -1)), 1.5)


def test_made_up_patients_are_the_same_for_a_seed_and_differ_in_lesion_size() -> None:
    one, again, other = phantoms(12), phantoms(12), phantoms(12, seed=1)
    assert all(
        np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask) for a, b in zip(one, again, strict=True)
    )
    assert not np.array_equal(one[0].image, other[0].image)
    sizes = sorted(int(v.mask.sum()) for v in one if v.mask.any())
    assert sizes[-1] > 10 * sizes[0]
    assert all(np.isfinite(v.image).all() and not v.mask.all() for v in one)
    assert 0.1 < np.mean([v.mask.any(axis=(1, 2)).mean() for v in phantoms(40)]) < 0.6


def test_made_up_patients_are_split_and_called_made_up() -> None:
    cases = synthetic()
    assert cases.name.startswith("synthetic")
    assert not {v.id for v in cases.pool} & {v.id for v in cases.held_out}
    assert all(v.mask.any() for v in cases.held_out)


def test_a_patient_on_both_sides_is_refused() -> None:
    cases = patients()
    with pytest.raises(InputError, match="never both"):
        Patients(cases.pool, cases.pool[:1], "x")
    with pytest.raises(InputError, match="one to measure on"):
        Patients(cases.pool, (), "x")


def test_the_shipped_split_is_kept_where_it_knows_everybody_else_the_hash_decides() -> None:
    split = load_split()
    everyone = [*split.train, *split.validation, *split.test]
    assert set(held_out_of(everyone)) == {*split.validation, *split.test}
    strangers = [f"patient-{n}" for n in range(30)]
    away = held_out_of(strangers)
    assert 1 <= len(away) < 15
    assert set(held_out_of([*strangers, "late"])) >= set(away)  # nobody moves when one more comes


def test_shrinking_averages_and_keeps_the_majority() -> None:
    image, mask = np.zeros((1, 1, 32, 32), np.float16), np.zeros((1, 32, 32), np.uint8)
    image[0, 0, 0, 0], mask[0, 0, :2] = 4.0, 1
    mask[0, 2, 2] = 1  # a quarter of its block
    small = shrink(Volume("a", image, mask), 2)
    assert small.image.shape == (1, 1, 16, 16)
    assert small.image[0, 0, 0, 0] == 1.0
    assert small.mask.sum() == 1


def test_sides_are_cut_to_what_networks_can_halve() -> None:
    image, mask = np.zeros((1, 3, 75, 40), np.float16), np.zeros((1, 75, 40), np.uint8)
    assert shrink(Volume("a", image, mask), 2).mask.shape == (1, 32, 16)
    with pytest.raises(InputError, match="at least 64"):
        shrink(Volume("a", image, mask), 4)


def test_a_folder_of_patients_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(8):
        folder = tmp_path / f"P{number}"
        folder.mkdir()
        for k in (1, 2):
            mask = np.zeros((64, 64), np.uint8)
            mask[20:40, 20:40] = 255 * (k == 1)
            tifffile.imwrite(folder / f"P{number}_{k}.tif", rng.integers(1, 255, (64, 64, 3)).astype(np.uint8))
            tifffile.imwrite(folder / f"P{number}_{k}_mask.tif", mask)
    told: list[tuple[int, int]] = []
    cases = from_folder(tmp_path, replace(SETTINGS, shrink=2, patients=3), lambda *step: told.append(step))
    assert len(cases.pool) == 3
    assert {v.image.shape for v in (*cases.pool, *cases.held_out)} == {(2, 3, 32, 32)}
    assert told[-1][0] == told[-1][1] == 3 + len(cases.held_out)


def disc(radius: float, side: int = 96) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] - side // 2
    return (rows**2 + columns**2 <= radius**2).astype(np.uint8)


@pytest.mark.parametrize("radius", [1.5, 3.0, 12.0])
@pytest.mark.parametrize("noise", [0.01, 0.5, 1.0])
def test_an_unsteady_hand_stays_near_the_border(radius: float, noise: float) -> None:
    truth = disc(radius)
    for name in "abcdef":
        drawn = annotate(truth, noise, name)
        assert not drawn[distance_transform_edt(truth == 0) > 3.5].any()
        assert drawn[distance_transform_edt(truth) > 3.5].all()
    if noise == 0.01:
        assert np.array_equal(drawn, truth)


def test_a_mask_that_fills_its_picture_has_a_border_nowhere() -> None:
    assert annotate(np.ones((8, 8), np.uint8), 0.1, "a").all()


def test_the_annotator_draws_the_truth_or_nearly() -> None:
    truth = np.zeros((64, 64), np.uint8)
    truth[20:44, 16:40] = 1
    assert annotate(truth, 0.0, "a") is truth
    drawn = annotate(truth, 0.5, "a")
    overlap = 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum())
    assert 0.7 < overlap < 0.99
    assert set(np.unique(drawn)) == {0, 1}
    assert np.array_equal(drawn, annotate(truth, 0.5, "a"))
    assert not np.array_equal(drawn, annotate(truth, 0.5, "b"))
    assert not annotate(np.zeros((8, 8), np.uint8), 1.0, "a").any()


@pytest.mark.parametrize(
    "wrong",
    [{"start": 0}, {"rounds": 1}, {"unit": "voxel"}, {"noise": 2.0}, {"passes": 1}, {"batch": -1}, {"growth": 0.5}],
)
def test_settings_that_make_no_loop_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(QUICK, **wrong)  # type: ignore[arg-type]


def test_a_fingerprint_tells_settings_and_data_apart() -> None:
    assert QUICK.fingerprint("a") == replace(QUICK).fingerprint("a")
    assert (
        len({QUICK.fingerprint("a"), QUICK.fingerprint("b"), REAL.fingerprint("a"), Settings().fingerprint("a")}) == 4
    )


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    records = Records(tmp_path / "runs" / "x", SETTINGS, "d")
    assert records.get("random", 0, 0) is None
    records.put("random", 0, 0, RECORD)
    assert records.get("random", 0, 0) == RECORD
    assert records.has("random", 0, 0)
    assert not records.has("random", 1, 0)


def test_results_of_other_masks_are_not_mixed_in(tmp_path: Path) -> None:
    """A corrected mask is other data, though folder, patients and sizes are the same."""
    before, after = patients(), patients()
    assert before.digest == patients().digest
    after.pool[0].mask[0, 0, 0] ^= 1
    Records(tmp_path, SETTINGS, before.name, before.digest)
    Records(tmp_path, SETTINGS, before.name, patients().digest)
    with pytest.raises(InputError, match="other images or masks"):
        Records(tmp_path, SETTINGS, after.name, after.digest)


def test_results_of_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    Records(tmp_path, SETTINGS, "d")
    Records(tmp_path, SETTINGS, "d")
    with pytest.raises(InputError, match="steps: 2, now 9"):
        Records(tmp_path, replace(SETTINGS, steps=9), "d")
    with pytest.raises(InputError, match="data"):
        Records(tmp_path, SETTINGS, "other")
