"""Measured results in a folder, small enough to commit: the tables are made of them without data or a model.

``MODEL-SUBSET.json`` is the line that ``tumorseg evaluate --json`` prints; ``MODEL-SUBSET.csv`` has a line for each
picture or patient, and for detectors ``MODEL-SUBSET.objects.csv`` one for each object. Every figure of a table is
computed again from the CSV files; the JSON says what was measured (model, version, thresholds, subset).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError
from tumorseg.evaluation.report import Interval
from tumorseg.io.files import write_atomically

DETECTION, CLASSIFICATION, SEGMENTATION = "detection", "classification", "segmentation"
OBJECTS = "objects"


@dataclass(frozen=True)
class Stored:
    """One model on one set, read back.

    Attributes:
        model: registry name.
        version: of the weights.
        subset: of the frozen split, or ``all``.
        count: how many pictures or patients.
        unit: ``pictures`` or ``patients``.
        figures: name -> value with its interval, computed from the CSV files.
        seen: how many of them trained the model; None where nobody knows.
        pairs: counts that are shown as two numbers: ``false_positive_slices`` -> (marked in vain, empty).
    """

    model: str
    version: str
    subset: str
    count: int
    unit: str
    figures: Mapping[str, Interval]
    seen: int | None
    pairs: Mapping[str, tuple[int, int]]


def write_store(folder: Path, told: Mapping[str, Any], kind: str, tables: Mapping[str, bytes]) -> list[Path]:
    """Write one result.

    Args:
        folder: is made where it is not there.
        told: what ``--json`` prints; ``model``, ``subset`` and, where there is one, ``start`` name the files.
        kind: of the report.
        tables: ``""`` -> the CSV of pictures or patients, ``"objects"`` -> that of the objects.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = "-".join(filter(None, (told["model"], told.get("subset") or "all", told.get("start"))))
    files = [
        write_atomically(folder / f"{stem}{f'.{name}' if name else ''}.csv", table) for name, table in tables.items()
    ]
    meta = {"kind": kind, **told}
    return [*files, write_atomically(folder / f"{stem}.json", (json.dumps(meta, indent=1) + "\n").encode())]


def read_store(folder: Path) -> list[Stored]:
    """Read every result of a folder, in the order of its names; none where there is no folder."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Stored:
    meta = json.loads(path.read_text(encoding="utf-8"))
    readers = {DETECTION: _detection, CLASSIFICATION: _classification, SEGMENTATION: _segmentation}
    if meta.get("kind") not in readers:
        raise InputError(f"{path}: expected one of the kinds {', '.join(readers)}, got {meta.get('kind')!r}")
    count, unit, figures, pairs = readers[meta["kind"]](path.with_suffix(".csv"), meta)
    seen = meta.get("seen_in_training")
    return Stored(meta["model"], meta["version"], meta.get("subset") or "all", count, unit, figures, seen, pairs)


_Measured = tuple[int, str, Mapping[str, Interval], Mapping[str, tuple[int, int]]]


def _detection(path: Path, meta: Mapping[str, Any]) -> _Measured:
    from tumorseg.evaluation.detection.figures import summarise
    from tumorseg.evaluation.detection.stored import read_examined

    pictures = read_examined(path, path.with_suffix(f".{OBJECTS}.csv"))
    labels = meta["confusion"]["labels"][:-1]
    report = summarise(meta["model"], meta["version"], labels, meta["score_threshold"], pictures)
    pairs = {"false_alarm_images": (report.false_alarm_pictures, report.without_lesion)}
    return len(pictures), "pictures", report.figures, pairs


def _classification(path: Path, meta: Mapping[str, Any]) -> _Measured:
    from tumorseg.evaluation.gate.measure import summarise
    from tumorseg.evaluation.gate.tables import read_rows

    report = summarise(meta["model"], meta["version"], meta["score_threshold"], read_rows(path))
    alarms = sum(row.false_alarms(report.threshold) for row in report.rows)
    pairs = {"false_positive_slices": (alarms, int((~report.truth).sum()))}
    return len(report.rows), "patients", report.figures, pairs


def _segmentation(path: Path, meta: Mapping[str, Any]) -> _Measured:
    from tumorseg.evaluation.evaluate import summarise
    from tumorseg.evaluation.tables import read_rows

    summary = summarise(read_rows(path))
    figures = {"dice_mean": summary.dice_mean, "dice_median": summary.dice_median, **summary.slicewise}
    pairs = {"false_positive_slices": (summary.false_positive_slices, summary.empty_slices)}
    return summary.patients, "patients", figures, pairs
