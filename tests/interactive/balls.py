"""A method that answers prompts in microseconds: what the tests of sessions, routes and viewers' dialects share.

It is a real method of the contract in interactive/base.py, and any test may look at what it did: it counts its calls.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg.geometry import Grid
from tumorseg.interactive.base import Edit, require_kind
from tumorseg.interactive.classical.features import features
from tumorseg.interactive.local import confined
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt, Scribble
from tumorseg.types import FLAIR, StudyImage

Mask = NDArray[np.bool_]
#: ``(K, J, I)`` of the image that most tests need.
SHAPE = (6, 24, 32)
DARK, BRIGHT = 100.0, 900.0
#: ``(k, j, i)`` centres of the two bright balls of the image, and their radius in pixels and in slices.
CENTRES, RADIUS, RADIUS_K = ((2, 8, 8), (3, 14, 24)), 5, 2


@dataclass(frozen=True, eq=False)
class Seen:
    """The first channel of an image, and what is bright in it."""

    voxels: NDArray[np.float32]
    proposal: Mask

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(K, J, I)``."""
        k, j, i = self.voxels.shape
        return k, j, i

    @cached_property
    def evidence(self) -> NDArray[np.float16]:
        """Return what slices are followed by, ``(1, K, J, I)``."""
        return features(self.voxels[None])

    @property
    def nbytes(self) -> int:
        """Return the memory of both arrays."""
        return self.voxels.nbytes + self.proposal.nbytes


@dataclass
class Balls:
    """Marks or clears what is as bright as the clicked voxel in a ball around it; frames hold what is bright.

    Attributes:
        threshold: a voxel of at least this value is bright (in the units of the image).
        tolerance: what differs less from the clicked voxel is as bright.
        radius: of the ball, pixels; in slices it is half of that.
        pause: seconds that every answer and every encoding takes at least; lets a test look at a busy server.
        encodings, answers: how often each was asked for.
    """

    threshold: float = 500.0
    tolerance: float = 200.0
    radius: int = 4
    pause: float = 0.0
    name: str = "balls"
    description: str = "Marks balls; for tests only."
    channels: tuple[str, ...] = (FLAIR,)
    labels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"tumor": 1}))
    kinds: tuple[type[Any], ...] = (Click, Box, ExtremePoints, Scribble)
    viewer_type: str = "deepgrow"
    slow: bool = False
    encodings: int = 0
    answers: int = 0

    @property
    def version(self) -> str:
        """First 12 hex digits of the SHA-256 of what an answer depends on."""
        return hashlib.sha256(f"{self.threshold} {self.tolerance} {self.radius}".encode()).hexdigest()[:12]

    def encode(self, image: StudyImage) -> Seen:
        """Keep the first channel and what is bright in it."""
        self.encodings += 1
        time.sleep(self.pause)
        voxels = image.voxels[0].astype(np.float32)
        return Seen(voxels, voxels >= self.threshold)

    def answer(self, encoded: Seen, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Edit:
        """Answer a prompt of any kind."""
        require_kind(self, prompt)
        self.answers += 1
        time.sleep(self.pause)
        if isinstance(prompt, Click):
            return self._ball(encoded, mask, before, prompt)
        if isinstance(prompt, Scribble):
            return Edit((0, 0, 0), (mask | (prompt.marks > 0)) & (prompt.marks >= 0))
        box = prompt.box if isinstance(prompt, ExtremePoints) else prompt
        k, j, i = box.first[::-1]
        return Edit((k, j, i), encoded.proposal[box.region].copy())

    def _ball(self, encoded: Seen, mask: Mask, before: Sequence[Prompt], click: Click) -> Edit:
        at = click.at[::-1]
        reach = (self.radius // 2, self.radius, self.radius)
        low = [max(0, centre - r) for centre, r in zip(at, reach, strict=True)]
        high = [min(size, centre + r + 1) for centre, r, size in zip(at, reach, mask.shape, strict=True)]
        region = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        near = ball(
            [b - a for a, b in zip(low, high, strict=True)], [c - a for c, a in zip(at, low, strict=True)], reach
        )
        alike = near & (np.abs(encoded.voxels[region] - encoded.voxels[at]) <= self.tolerance)
        wanted = mask[region] | alike if click.positive else mask[region] & ~alike
        return confined(mask, (low[0], low[1], low[2]), wanted, click, before)


def ball(shape: Sequence[int], centre: Sequence[int], reach: Sequence[int]) -> Mask:
    """Return the ellipsoid around ``centre`` with half axes ``reach`` in an array of ``shape``, all ``(k, j, i)``."""
    axes = np.ogrid[tuple(slice(0, size) for size in shape)]
    far = sum(((axis - c) / max(r, 1)) ** 2 for axis, c, r in zip(axes, centre, reach, strict=True))
    inside: Mask = np.asarray(far) <= 1
    return inside


def two_balls(shape: tuple[int, int, int] = SHAPE) -> StudyImage:
    """Return a dark image of :data:`SHAPE` or larger, a little brighter to one side, with two bright balls; 1 mm."""
    voxels = DARK + np.broadcast_to(np.arange(shape[2], dtype=np.float32) % 64, shape)
    for centre in CENTRES:
        voxels[ball(shape, centre, (RADIUS_K, RADIUS, RADIUS))] = BRIGHT
    return StudyImage(voxels[None], Grid(shape, np.eye(4)), (FLAIR,), "MR")


def build_balls(weights: Path | str | None = None, device: str = "auto") -> Balls:
    """Factory for the registry; ``weights`` may hold the threshold as text, else it is 500."""
    return Balls(float(Path(weights).read_text()) if weights else 500.0)
