"""Who trains and who validates, kept for good in the labels' database; see :mod:`tumorseg.active_learning.frozen`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tumorseg.active_learning.frozen import assign

if TYPE_CHECKING:
    from tumorseg.active_learning.frozen import Part
    from tumorseg.labels.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS parts (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  patient TEXT NOT NULL UNIQUE,
  part TEXT NOT NULL CHECK (part IN ('train', 'validation'))
);
CREATE TRIGGER IF NOT EXISTS parts_stay BEFORE UPDATE ON parts
BEGIN SELECT RAISE(ABORT, 'a patient never changes sides'); END;
CREATE TRIGGER IF NOT EXISTS parts_are_kept BEFORE DELETE ON parts
BEGIN SELECT RAISE(ABORT, 'a patient never changes sides'); END;
"""


class FrozenParts:
    """The parts of all patients who ever had a usable label, for every model and every process alike."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure("parts", _SCHEMA)

    def known(self) -> dict[str, Part]:
        """Return what was decided, in the order of decision."""
        return {row["patient"]: row["part"] for row in self._database.rows("SELECT * FROM parts ORDER BY number")}

    def assign(self, patients: Iterable[str]) -> dict[str, Part]:
        """Return the part of every patient; a new one's is decided and kept.

        Args:
            patients: in the order in which they were first labelled; the same one may come several times.
        """
        wanted = list(dict.fromkeys(patients))
        with self._database.transaction() as connection:  # nobody else decides meanwhile
            rows = connection.execute("SELECT patient, part FROM parts ORDER BY number").fetchall()
            known: dict[str, Part] = {row["patient"]: row["part"] for row in rows}
            parts = assign(wanted, known)
            new = [(patient, part) for patient, part in parts.items() if patient not in known]
            connection.executemany("INSERT INTO parts (patient, part) VALUES (?, ?)", new)
        return {patient: parts[patient] for patient in wanted}
