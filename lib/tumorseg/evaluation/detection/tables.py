"""A detector's report as JSON and as CSV: a line for each picture, and a line for each object."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from tumorseg.evaluation.detection.examine import Examined
from tumorseg.evaluation.detection.figures import IOU, DetectionReport
from tumorseg.evaluation.numbers import bounds, cell, number
from tumorseg.metrics.detection.matching import NOTHING, match

PICTURE_COLUMNS = (
    "image",
    "patient",
    "annotated",
    "detected",
    "right",
    "wrong",
    "missed",
    "iou",
    "dice",
    "best_score",
    "truth_pixels",
    "found_pixels",
    "common_pixels",
    "seconds",
)
OBJECT_COLUMNS = ("image", "kind", "label", "score", "box_iou", "mask_iou")
ANNOTATED, DETECTED = "annotated", "detected"


def report_json(report: DetectionReport, **extra: Any) -> dict[str, Any]:
    """Return what a machine wants to know; numbers that are not defined are None. ``extra`` is appended."""
    counted, lesions = report.counts, report.lesion_counts
    return {
        "model": report.model,
        "version": report.version,
        "images": len(report.pictures),
        **{name: number(figure.value) for name, figure in report.figures.items()},
        **{f"{name}_ci": bounds(figure) for name, figure in report.figures.items()},
        "ap50": {name: number(figure.value) for name, figure in report.ap50.items()},
        "ap50_ci": {name: bounds(figure) for name, figure in report.ap50.items()},
        "patients": report.patients,
        "images_without_lesion": report.without_lesion,
        "false_alarm_images": report.false_alarm_pictures,
        "images_not_annotated": report.left_out,
        "objects": counted.true_positives + counted.false_negatives,
        "true_positives": counted.true_positives,
        "false_positives": counted.false_positives,
        "false_negatives": counted.false_negatives,
        "lesions_found": lesions.true_positives,
        "lesion_false_positives": lesions.false_positives,
        "confusion": {"labels": list(report.confusion.labels), "counts": report.confusion.counts.tolist()},
        "score_threshold": report.score,
        "iou_threshold": IOU,
        "seconds_per_image": number(float(np.mean([picture.seconds for picture in report.pictures]))),
        **extra,
    }


def pictures_csv(report: DetectionReport) -> bytes:
    """Return a line for each picture; counts are whatever the class, at the operating threshold."""
    return _written(PICTURE_COLUMNS, [_picture_row(picture, report.score) for picture in report.pictures])


def objects_csv(report: DetectionReport) -> bytes:
    """Return a line for each annotated and each detected object, with the IoU of a detection with every annotated one.

    With the pictures' lines it holds all that the figures are made of (:mod:`tumorseg.evaluation.detection.stored`).
    """
    rows = []
    for picture in report.pictures:
        rows += [[picture.image, ANNOTATED, label, "", "", ""] for label in picture.truth_labels]
        for f, label in enumerate(picture.found_labels):
            masks = "" if picture.mask_iou is None else _numbers(picture.mask_iou[f])
            rows.append(
                [picture.image, DETECTED, label, f"{picture.scores[f]:.6f}", _numbers(picture.box_iou[f]), masks]
            )
    return _written(OBJECT_COLUMNS, rows)


def matched(picture: Examined, score: float) -> tuple[list[int], list[int]]:
    """Return the detections with at least this score, the surest first, and the object each found (-1: none)."""
    kept = [int(f) for f in np.argsort(-picture.scores, kind="stable") if picture.scores[f] >= score]
    return kept, match(picture.box_iou[kept], IOU).tolist()


def _picture_row(picture: Examined, score: float) -> list[str]:
    kept, taken = matched(picture, score)
    overlap = [picture.box_iou[f, t] for f, t in zip(kept, taken, strict=True) if t != NOTHING]
    whole = picture.mask_iou is not None
    return [
        picture.image,
        picture.patient or "",
        str(len(picture.truth_labels)),
        str(len(kept)),
        str(len(overlap)),
        str(len(kept) - len(overlap)),
        str(len(picture.truth_labels) - len(overlap)),
        cell(float(np.mean(overlap))) if overlap else "",
        cell(picture.dice),
        cell(float(picture.scores.max())) if picture.scores.size else "",
        *(str(n) if whole else "" for n in (picture.true, picture.marked, picture.both)),
        f"{picture.seconds:.3f}",
    ]


def _numbers(values: Any) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def _written(columns: tuple[str, ...], rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(rows)
    return text.getvalue().encode("utf-8")
