"""Who trains and who validates, kept for good in the labels' database; see :mod:`tumorseg.active_learning.frozen`.

A patient is a name, and names change: a PatientID is corrected, a rule that reads names gets better. Therefore it is
kept of every image too in which part it was used, and a patient has the part of their images. Where these disagree, so
that one patient was taken for several, they train from then on: a model has learned from them, and nobody who trained
may validate, while who validated may train. What the index lost, the cards of the versions bring back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tumorseg.active_learning.frozen import assign

if TYPE_CHECKING:
    import sqlite3

    from tumorseg.active_learning.frozen import Part
    from tumorseg.labels.database import Database
    from tumorseg.versions.types import CaseUsed

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
CREATE TABLE IF NOT EXISTS image_parts (
  image TEXT NOT NULL,
  patient TEXT NOT NULL,
  part TEXT NOT NULL CHECK (part IN ('train', 'validation')),
  PRIMARY KEY (image, patient, part)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS image_parts_stay BEFORE UPDATE ON image_parts
BEGIN SELECT RAISE(ABORT, 'how an image was used is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS image_parts_are_kept BEFORE DELETE ON image_parts
BEGIN SELECT RAISE(ABORT, 'how an image was used is never forgotten'); END;
"""
_USED = "INSERT OR IGNORE INTO image_parts (image, patient, part) VALUES (?, ?, ?)"


@dataclass(frozen=True)
class Assigned:
    """Who trains and who validates.

    Attributes:
        parts: of every patient.
        moved: patients who train from now on though images of theirs validated before.
    """

    parts: Mapping[str, Part]
    moved: tuple[str, ...] = ()


class FrozenParts:
    """The parts of all patients who ever had a usable label, for every model and every process alike."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure("parts", _SCHEMA)

    def remember(self, cases: Iterable[CaseUsed]) -> None:
        """Note what the cards of versions say of who trained and who validated: an index may be lost, or older."""
        rows = {(case.image, case.patient, case.part) for case in cases}
        if rows:
            with self._database.transaction() as connection:
                connection.executemany(_USED, sorted(rows))

    def assign(self, images: Mapping[str, str]) -> Assigned:
        """Return the part of every patient; a new one's is decided and kept.

        Args:
            images: image -> its patient, in the order in which they were first labelled.
        """
        with self._database.transaction() as connection:  # nobody else decides meanwhile
            known = _Known(connection)
            of_patient: dict[str, list[str]] = defaultdict(list)
            for image, patient in images.items():
                of_patient[patient].append(image)
            said = {patient: known.said(patient, own) for patient, own in of_patient.items()}
            decided = {patient: _one(parts) for patient, parts in said.items() if parts}
            parts = assign(of_patient, {**known.others(images), **decided})
            parts = {patient: parts[patient] for patient in of_patient}
            moved = tuple(p for p, own in of_patient.items() if parts[p] == "train" and known.validated(own))
            connection.executemany("INSERT OR IGNORE INTO parts (patient, part) VALUES (?, ?)", parts.items())
            connection.executemany(_USED, [(image, patient, parts[patient]) for image, patient in images.items()])
        return Assigned(parts, moved)


class _Known:
    """What is kept of patients and images."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._patients: dict[str, set[Part]] = defaultdict(set)
        self._images: dict[str, set[Part]] = defaultdict(set)
        self._images_of: dict[str, set[str]] = defaultdict(set)
        for row in connection.execute("SELECT patient, part FROM parts ORDER BY number"):
            self._patients[row["patient"]].add(row["part"])
        for row in connection.execute("SELECT image, patient, part FROM image_parts"):
            self._patients[row["patient"]].add(row["part"])
            self._images[row["image"]].add(row["part"])
            self._images_of[row["patient"]].add(row["image"])

    def said(self, patient: str, images: Iterable[str]) -> set[Part]:
        """Return every part in which a patient was, under this name or by an image."""
        return self._patients.get(patient, set()).union(*(self._images.get(image, ()) for image in images))

    def others(self, images: Mapping[str, str]) -> dict[str, Part]:
        """Return the parts of the patients whom none of these images is of, but for names that none has any more."""
        now = set(images.values())
        return {
            patient: _one(parts)
            for patient, parts in self._patients.items()
            if patient not in now and not (self._images_of[patient] and self._images_of[patient] <= images.keys())
        }

    def validated(self, images: Iterable[str]) -> bool:
        """Whether one of the images validated, and trained never."""
        return any(self._images.get(image) == {"validation"} for image in images)


def _one(parts: Iterable[Part]) -> Part:
    return "train" if "train" in parts else "validation"
