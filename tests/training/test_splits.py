"""Splits by patient."""

import json

import pytest

from tests.io.test_kaggle_3m import write_patient
from tumorseg.errors import InputError, NotFoundError
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.training.run import choose_split
from tumorseg.training.splits import Split, load_split, split_parts


def test_the_shipped_split_is_frozen():
    split = load_split("lgg")
    assert [len(split.subset(name)) for name in ("train", "validation", "test")] == [70, 8, 10]
    # A change of this line would make every published figure wrong.
    assert split.test[0] == "TCGA_CS_6666_20011109"
    assert split.validation[-1] == "TCGA_HT_8111_19980330"


def test_a_patient_belongs_to_one_subset():
    with pytest.raises(InputError, match="p2"):
        Split(("p1", "p2"), ("p2",), ())


def test_a_random_split_is_reproducible_and_keeps_patients_apart(tmp_path):
    for i in range(10):
        write_patient(tmp_path, f"P_{i}", [1])
    data = Kaggle3m(tmp_path)
    split = choose_split(data, "random", seed=1)
    assert split == choose_split(data, "random", seed=1)
    assert split != choose_split(data, "random", seed=2)
    assert sorted(split.train + split.validation + split.test) == list(data.patients)
    assert len(split.validation) == len(split.test) == 2


def test_split_files_that_cannot_be_used_are_said(tmp_path):
    with pytest.raises(NotFoundError):
        load_split("nothing")
    with pytest.raises(NotFoundError):
        load_split("lgg").subset("holdout")
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": []}))
    with pytest.raises(InputError, match="validation"):
        load_split(path)
    write_patient(tmp_path / "data", "P_1", [1])
    with pytest.raises(InputError, match="--split random"):
        choose_split(Kaggle3m(tmp_path / "data"), "lgg", 0)


def test_a_random_split_takes_other_parts(tmp_path):
    for i in range(40):
        write_patient(tmp_path, f"P_{i:02d}", [1])
    split = choose_split(Kaggle3m(tmp_path), "random:85/7.5/7.5", seed=0)
    assert [len(split.subset(name)) for name in ("train", "validation", "test")] == [34, 3, 3]
    assert split_parts("80/20/0") == (0.2, 0.0)


@pytest.mark.parametrize("parts", ["85", "85/15", "a/b/c", "85/10/10", "100/0/0", "0/50/50", "120/-10/-10"])
def test_parts_that_make_no_split_are_said(parts):
    with pytest.raises(InputError, match="expected per cent"):
        split_parts(parts)
