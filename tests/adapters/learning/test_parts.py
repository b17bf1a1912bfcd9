"""Patients get a part once: nobody who trained ever validates, whoever asks, in whichever order and by which name."""

import sqlite3
import subprocess
import sys

import pytest

from tumorseg.active_learning.frozen import by_hash
from tumorseg.adapters.learning.parts import FrozenParts
from tumorseg.labels.database import Database
from tumorseg.versions.types import CaseUsed

ALIKE = [name for name in map("p{}".format, range(40)) if by_hash(name) == "train"]
VALIDATING = [name for name in map("p{}".format, range(40)) if by_hash(name) == "validation"]


def parts_in(folder):
    return FrozenParts(Database(folder / "index.sqlite"))


def assigned(parts, names):
    """Each has one image, called like the patient."""
    return parts.assign({name: name for name in names}).parts


def used(image, patient, part):
    return CaseUsed(image, patient, part, "uid", "digest")


def test_from_the_second_patient_on_there_are_both_parts(tmp_path):
    parts = parts_in(tmp_path)
    assert list(assigned(parts, ALIKE[:1]).values()) == ["train"]
    assert assigned(parts, ALIKE[1:3]) == {ALIKE[1]: "validation", ALIKE[2]: "train"}


def test_what_was_decided_stays_in_whichever_order_patients_are_named_later(tmp_path):
    names = [f"p{number}" for number in range(12)]
    first = assigned(parts_in(tmp_path), names)
    assert assigned(parts_in(tmp_path), reversed([*names, "new"])) == {**first, "new": by_hash("new")}


def test_only_those_named_are_returned(tmp_path):
    parts = parts_in(tmp_path)
    assigned(parts, ["p0", "p1"])
    assert list(parts.assign({"a": "p1", "b": "p1"}).parts) == ["p1"]
    assert parts.assign({}).parts == {}


@pytest.mark.parametrize("table", ["parts", "image_parts"])
def test_no_statement_moves_a_patient(tmp_path, table):
    parts = parts_in(tmp_path)
    assigned(parts, ["p0"])
    for sql in (f"UPDATE {table} SET part = 'train'", f"DELETE FROM {table}"):
        with pytest.raises(sqlite3.IntegrityError, match="never"), parts._database.transaction() as open_:
            open_.execute(sql)


@pytest.mark.parametrize(("named", "then"), [(ALIKE[2], VALIDATING[0]), (VALIDATING[0], ALIKE[2])])
def test_an_image_keeps_its_part_under_another_name_of_its_patient(tmp_path, named, then):
    """A PatientID was corrected, or a rule reads names better: an image that had trained the champion validated."""
    others = {"x": VALIDATING[1], "y": ALIKE[1]}
    first = parts_in(tmp_path).assign({**others, "scan": named})
    again = parts_in(tmp_path).assign({**others, "scan": then, "new": then})
    assert first.parts[named] != by_hash(then)
    assert again.parts[then] == first.parts[named]
    assert again.moved == ()


def test_who_was_taken_for_two_patients_trains_and_is_said_once(tmp_path):
    """A model has learned from them; who validated may train, who trained may not validate."""
    trained, validated = ALIKE[0], VALIDATING[0]
    parts_in(tmp_path).assign({"a": trained, "b": validated, "c": VALIDATING[1]})
    again = parts_in(tmp_path).assign({"a": "miller", "b": "miller", "c": VALIDATING[1]})
    assert again.parts == {"miller": "train", VALIDATING[1]: "validation"}
    assert again.moved == ("miller",)
    later = parts_in(tmp_path).assign({"b": validated, "c": VALIDATING[1]})  # and never back
    assert later.parts[validated] == "train"
    assert later.moved == ()


def test_where_all_turn_out_to_have_trained_the_next_new_patient_validates(tmp_path):
    parts_in(tmp_path).assign({"a1": ALIKE[0], "a2": VALIDATING[0], "b1": ALIKE[1], "b2": VALIDATING[1]})
    again = parts_in(tmp_path).assign({"a1": "a", "a2": "a", "b1": "b", "b2": "b", "new": ALIKE[2]})
    assert again.parts == {"a": "train", "b": "train", ALIKE[2]: "validation"}


def test_an_index_that_was_lost_learns_the_parts_from_the_cards(tmp_path):
    """Decided anew they would depend on who comes first."""
    first, second = ALIKE[:2]
    before = assigned(parts_in(tmp_path), [first, second])
    (tmp_path / "index.sqlite").unlink()
    without = parts_in(tmp_path / "without")
    assert assigned(without, [second, first]) != before
    again = parts_in(tmp_path / "with")
    again.remember(used(name, name, part) for name, part in before.items())
    assert assigned(again, [second, first]) == before
    again.remember(used(name, name, part) for name, part in before.items())
    assert again.assign({"renamed": first, second: "renamed"}).parts == {first: "train", "renamed": "validation"}


def test_a_card_outweighs_what_an_index_decided_without_it(tmp_path):
    parts = parts_in(tmp_path)
    assert assigned(parts, [ALIKE[0], VALIDATING[0]])[VALIDATING[0]] == "validation"
    parts.remember([used("of an earlier index", VALIDATING[0], "train")])
    said = parts.assign({ALIKE[0]: ALIKE[0], VALIDATING[0]: VALIDATING[0]})
    assert said.parts[VALIDATING[0]] == "train"
    assert said.moved == (VALIDATING[0],)


def test_processes_that_decide_at_once_agree(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tests.adapters.learning.test_parts import assigned, parts_in\n"
        "names = [f'p{n}' for n in range(30)]\n"
        "names = names if sys.argv[2] == 'up' else names[::-1]\n"
        "print([sorted(assigned(parts_in(Path(sys.argv[1])), names[:n]).items()) for n in range(1, 31)][-1])"
    )
    # As the first thing, so that both find no file.
    runs = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, way], stdout=subprocess.PIPE, text=True)
        for way in ("up", "down")
    ]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert said[0] == said[1] != ""
