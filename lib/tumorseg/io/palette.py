"""The colours of labels, the same in every file and picture that we write."""

from __future__ import annotations

#: RGB 0..255 by label value (1 is the first); after the last one they repeat. Distinct for the colour-blind too.
COLOURS: tuple[tuple[int, int, int], ...] = (
    (230, 75, 60),
    (86, 180, 233),
    (240, 200, 60),
    (60, 190, 130),
    (204, 121, 167),
    (240, 140, 40),
    (120, 120, 230),
    (170, 200, 90),
)


def colour(value: int) -> tuple[int, int, int]:
    """Return the RGB colour (0..255) of the label ``value`` >= 1."""
    return COLOURS[(value - 1) % len(COLOURS)]
