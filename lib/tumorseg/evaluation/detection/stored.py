"""A report made again from its two CSV files, without pictures or a model."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.evaluation.detection.examine import Examined
from tumorseg.evaluation.detection.tables import ANNOTATED, DETECTED, OBJECT_COLUMNS, PICTURE_COLUMNS

Line = Mapping[str, str]


def read_examined(pictures: Path, objects: Path) -> list[Examined]:
    """Read what :func:`~tumorseg.evaluation.detection.tables.pictures_csv` and ``objects_csv`` wrote."""
    by_image: dict[str, list[Line]] = {}
    for line in _lines(objects, OBJECT_COLUMNS):
        by_image.setdefault(line["image"], []).append(line)
    read = [_examined(line, by_image.pop(line["image"], [])) for line in _lines(pictures, PICTURE_COLUMNS)]
    if by_image:
        raise InputError(f"{objects} speaks of pictures that {pictures} does not list: {', '.join(list(by_image)[:5])}")
    return read


def _lines(path: Path, columns: Iterable[str]) -> list[Line]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise InputError(
                f"{path}: expected the columns {', '.join(columns)}; missing: {', '.join(sorted(missing))}"
            )
        return list(reader)


def _examined(picture: Line, objects: list[Line]) -> Examined:
    truth = [line for line in objects if line["kind"] == ANNOTATED]
    found = [line for line in objects if line["kind"] == DETECTED]
    whole = picture["truth_pixels"] != ""
    shape = (len(found), len(truth))

    def table(column: str) -> Any:
        return np.array([line[column].split() for line in found], np.float64).reshape(shape)

    return Examined(
        image=picture["image"],
        patient=picture["patient"] or None,
        truth_labels=tuple(line["label"] for line in truth),
        found_labels=tuple(line["label"] for line in found),
        scores=np.array([float(line["score"]) for line in found]),
        box_iou=table("box_iou"),
        mask_iou=table("mask_iou") if whole else None,
        true=int(picture["truth_pixels"] or 0),
        marked=int(picture["found_pixels"] or 0),
        both=int(picture["common_pixels"] or 0),
        seconds=float(picture["seconds"]),
    )
