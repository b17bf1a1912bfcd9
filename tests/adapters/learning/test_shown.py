"""Who asks again is shown something else, for a while, and never nothing."""

from __future__ import annotations

from tumorseg.adapters.learning import shown
from tumorseg.adapters.learning.shown import Shown

IMAGES = ["a", "b", "c"]


def test_what_somebody_was_shown_waits_for_a_while_and_only_for_them() -> None:
    now = [0.0]
    seen = Shown(60, clock=lambda: now[0])
    seen.show("a", "ann")
    assert seen.others(IMAGES, "ann") == ["b", "c"]
    assert seen.others(IMAGES, "bob") == IMAGES
    now[0] = 59.0
    seen.show("b", "ann")
    assert seen.others(IMAGES, "ann") == ["c"]
    now[0] = 60.0
    assert seen.others(IMAGES, "ann") == ["a", "c"]


def test_who_was_shown_everything_begins_again() -> None:
    seen = Shown(60, clock=lambda: 0.0)
    for image in IMAGES:
        seen.show(image, "ann")
    assert seen.others(IMAGES, "ann") == IMAGES


def test_people_who_made_themselves_up_fill_no_memory() -> None:
    seen = Shown(60, clock=lambda: 0.0)
    for number in range(3 * shown.MOST_PEOPLE):
        seen.show("a", f"somebody {number}")
    assert len(seen._people) == shown.MOST_PEOPLE
    assert seen.others(IMAGES, f"somebody {3 * shown.MOST_PEOPLE - 1}") == ["b", "c"]
