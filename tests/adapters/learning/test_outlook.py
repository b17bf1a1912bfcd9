"""The stopping signal, from cards as trainings write them: which figures count, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from tumorseg.adapters.learning.outlook import NEEDED, outlook
from tumorseg.versions.types import Status, VersionCard


def card(number: int, labels: Any, candidate: Any, champion: Any = None, status: Status = "published") -> VersionCard:
    measured = {"labelled_cases": labels, "candidate": {"mean": candidate}, "champion": {"mean": champion}}
    made = f"2026-11-21T{number:02}:00:00+00:00"
    return VersionCard(f"{number:04}-abcdef12", "tiny", "", made, "ann", "trained", None, status, measured=measured)


def newest_first(*cards: VersionCard) -> list[VersionCard]:
    return list(reversed(cards))


def test_a_curve_that_still_rises_promises_a_gain() -> None:
    cards = newest_first(*(card(n, 10 * n, 0.95 - 1.5 * (10 * n) ** -0.5) for n in range(1, 7)))
    found = outlook(cards, 10)
    assert found.labels == (10, 20, 30, 40, 50, 60)
    assert found.forecast is not None
    assert found.forecast.gain == pytest.approx(1.5 * (60**-0.5 - 70**-0.5), abs=1e-3)
    assert found.text.startswith("The next 10 labels are expected to bring +1.4 (1.4 … 1.4, 90% interval) points")
    assert "time to stop" not in found.text


def test_a_curve_that_is_flat_says_that_it_is_time_to_stop() -> None:
    found = outlook(newest_first(*(card(n, 10 * n, 0.8) for n in range(1, 7))), 10)
    assert found.forecast is not None
    assert found.forecast.useless == 1.0
    assert "probability of less than 0.5 points: 100%" in found.text
    assert "It is time to stop" in found.text


def test_a_refused_version_counts_as_what_went_on_serving() -> None:
    cards = newest_first(card(1, 10, 0.7), card(2, 20, 0.1, champion=0.72, status="refused"), card(3, 30, 0.8))
    assert outlook(cards).scores == (0.7, 0.72, 0.8)


def test_rounds_that_were_refused_do_not_say_that_it_is_time_to_stop() -> None:
    """The shipped model measured again and again is one measurement, not a curve that is flat."""
    refused = [card(n, 10 * n, 0.3, champion=0.61, status="refused") for n in range(1, 7)]
    found = outlook(newest_first(*refused), 10)
    assert (found.measured, found.forecast) == (1, None)
    assert found.text == (
        "No forecast yet (1 of 5 measurements; 5 rounds that were refused say nothing about further labels)."
    )
    published = [card(n, 10 * n, 0.8) for n in range(7, 12)]
    assert outlook(newest_first(*refused, *published), 10).forecast is not None


def test_versions_without_figures_and_without_labels_do_not_count() -> None:
    nan, uploaded = (
        card(2, 20, float("nan")),
        VersionCard("0004-aa", "tiny", "", "", "ann", "uploaded", None, "published"),
    )
    nothing = card(3, 0, 0.5)
    odd = VersionCard("0005-aa", "tiny", "", "", "ann", "trained", None, "refused", measured={"candidate": 3})
    found = outlook(newest_first(card(1, 10, 0.7), nan, nothing, uploaded, odd))
    assert (found.labels, found.scores) == ((10,), (0.7,))


def test_the_later_measurement_of_as_many_labels_counts_and_removed_labels_begin_anew() -> None:
    cards = newest_first(card(1, 10, 0.7), card(2, 20, 0.75), card(3, 20, 0.77), card(4, 15, 0.74))
    assert outlook(cards).labels == (10, 15)
    assert outlook(cards[1:]).scores == (0.7, 0.77)


def test_too_few_measurements_are_counted_and_not_extrapolated() -> None:
    assert outlook([]).text == "No forecast yet (0 of 5 measurements)."
    cards = newest_first(*(card(n, 8 * n, 0.1 * n) for n in range(1, NEEDED)))
    found = outlook(cards)
    assert (found.forecast, found.batch) == (None, 8)  # as many as came before the last training
    assert found.text == "No forecast yet (4 of 5 measurements)."
