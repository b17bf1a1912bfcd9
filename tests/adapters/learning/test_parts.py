"""Patients get a part once: nobody ever changes sides, whoever asks and in whichever order."""

import sqlite3
import subprocess
import sys

import pytest

from tumorseg.active_learning.frozen import by_hash
from tumorseg.adapters.learning.parts import FrozenParts
from tumorseg.labels.database import Database


def parts_in(folder):
    return FrozenParts(Database(folder / "index.sqlite"))


def test_from_the_second_patient_on_there_are_both_parts(tmp_path):
    alike = [name for name in map("p{}".format, range(20)) if by_hash(name) == "train"]
    parts = parts_in(tmp_path)
    assert list(parts.assign(alike[:1]).values()) == ["train"]
    assert parts.assign(alike[1:3]) == {alike[1]: "validation", alike[2]: "train"}


def test_what_was_decided_stays_in_whichever_order_patients_are_named_later(tmp_path):
    names = [f"p{number}" for number in range(12)]
    first = parts_in(tmp_path).assign(names)
    again = parts_in(tmp_path)
    assert again.assign(reversed([*names, "new"])) == {**first, "new": by_hash("new")}
    assert list(again.known()) == [*names, "new"]


def test_a_patient_may_be_named_twice_and_only_those_named_are_returned(tmp_path):
    parts = parts_in(tmp_path)
    parts.assign(["p0", "p1"])
    assert list(parts.assign(["p1", "p1"])) == ["p1"]
    assert parts.assign([]) == {}


def test_no_statement_moves_a_patient(tmp_path):
    parts = parts_in(tmp_path)
    parts.assign(["p0"])
    for sql in ("UPDATE parts SET part = 'train'", "DELETE FROM parts"):
        with pytest.raises(sqlite3.IntegrityError, match="never changes sides"), parts._database.transaction() as open_:
            open_.execute(sql)


def test_processes_that_decide_at_once_agree(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tests.adapters.learning.test_parts import parts_in\n"
        "names = [f'p{n}' for n in range(30)]\n"
        "names = names if sys.argv[2] == 'up' else names[::-1]\n"
        "print([sorted(parts_in(Path(sys.argv[1])).assign(names[:n]).items()) for n in range(1, 31)][-1])"
    )
    # As the first thing, so that both find no file.
    runs = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, way], stdout=subprocess.PIPE, text=True)
        for way in ("up", "down")
    ]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert said[0] == said[1] != ""
