"""Rows as arrays: what is not fresh has no score and no vector."""

from __future__ import annotations

import numpy as np

from tumorseg.active_learning.store import Row
from tumorseg.active_learning.table import ScoreTable
from tumorseg.active_learning.types import BALD, EMBEDDING, ENTROPY

ROWS = {
    "a": Row("1", {ENTROPY: 0.1}, np.array([1, 2], np.float32)),
    "b": Row("1", {ENTROPY: 0.2, BALD: 0.5}, None),
    "c": Row("1", {ENTROPY: np.nan}, np.array([3, 4], np.float32)),
    "d": Row("1", {}, np.array([1, 2, 3], np.float32)),  # of another network: as if there were none
}
SAME = dict.fromkeys("abcd", "1")


def test_rows_are_found_by_image_where_the_image_is_as_it_was() -> None:
    table = ScoreTable.of(ROWS)
    assert table.fresh(["c", "x", "a"], SAME).tolist() == [2, -1, 0]
    assert table.fresh(["c", "a"], {"c": "2", "a": "1"}).tolist() == [-1, 0]  # c has changed
    assert table.fresh(["a"], {}).tolist() == [-1]  # nobody has looked at it yet


def test_columns_and_vectors_have_nan_where_there_is_none() -> None:
    table = ScoreTable.of(ROWS)
    rows = np.array([1, -1, 0, 2, 3])
    assert np.array_equal(table.column(ENTROPY, rows), [0.2, np.nan, 0.1, np.nan, np.nan], equal_nan=True)
    assert np.isnan(table.column("unheard", rows)).all()
    vectors = table.vectors(rows)
    assert vectors is not None
    assert np.array_equal(vectors[2], [1, 2])
    assert np.isnan(vectors[[0, 1, 4]]).all()
    assert table.vectors(np.array([-1])) is not None
    assert np.array_equal(table.vectors(np.array([0])), [[1, 2]])  # type: ignore[arg-type]


def test_what_a_row_lacks_is_seen_also_where_others_have_it() -> None:
    """A scoring that was stopped half way must be gone on with, not taken for a whole one."""
    table = ScoreTable.of(ROWS)
    assert table.lacks({ENTROPY}, np.array([0, -1]))
    assert not table.lacks({ENTROPY}, np.array([0, 1]))
    assert table.lacks({ENTROPY, BALD}, np.array([0, 1]))
    assert table.lacks({ENTROPY, EMBEDDING}, np.array([0, 1]))
    assert not table.lacks({ENTROPY, EMBEDDING}, np.array([0]))
    assert not table.lacks({ENTROPY}, np.array([], int))
    assert ScoreTable.of({"b": ROWS["b"]}).lacks({EMBEDDING}, np.array([0]))


def test_an_empty_store_is_an_empty_table() -> None:
    table = ScoreTable.of({})
    rows = table.fresh(["a", "b"], SAME)
    assert rows.tolist() == [-1, -1]
    assert np.isnan(table.column(ENTROPY, rows)).all()
    assert table.vectors(rows) is None
