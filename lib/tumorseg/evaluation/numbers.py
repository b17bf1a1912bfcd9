"""Numbers as they are written: rounded for machines, with their interval for people."""

from __future__ import annotations

from math import isfinite

from tumorseg.evaluation.report import Interval

DIGITS = 4


def cell(value: float) -> str:
    """Return a number for a CSV file, nothing where it is not defined."""
    return f"{value:.{DIGITS}f}" if isfinite(value) else ""


def number(value: float) -> float | None:
    """Return a number for JSON, None where it is not defined."""
    return round(value, DIGITS) if isfinite(value) else None


def bounds(interval: Interval) -> list[float | None]:
    """Return both ends of an interval for JSON."""
    return [number(interval.low), number(interval.high)]


def shown(interval: Interval) -> str:
    """Return ``value [low, high]`` for people, ``-`` where it is not defined."""
    if not isfinite(interval.value):
        return "-"
    if not isfinite(interval.low):
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def percent(value: float) -> str:
    """Return a part of one in whole percent, for a sentence."""
    return f"{100 * value:.0f} %" if isfinite(value) else "-"
