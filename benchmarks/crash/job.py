"""The labels that are saved: each different from all others, told by a number."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass

# Voxels (K, J, I) and place of every label; large enough that a half-written one is possible.
SHAPE = (24, 96, 80)
AFFINE = ((-2.0, 0.0, 0.0), (0.0, -2.0, 0.0), (0.0, 0.0, 5.0))
TAGS = ("final", "original", "second")


@dataclass(frozen=True)
class Job:
    """One label to save.

    Attributes:
        number: from 0; says everything else.
        images: how many images there are; few, so that processes meet at the same one.
    """

    number: int
    images: int

    @property
    def image(self) -> str:
        """Id of the image."""
        return f"case{self.number % self.images}"

    @property
    def tag(self) -> str:
        """Tag under which it is saved."""
        return TAGS[self.number // self.images % len(TAGS)]

    def content(self) -> bytes:
        """The file: gzip-encoded NRRD of noise, so that it does not shrink to nothing."""
        k, j, i = SHAPE
        directions = " ".join(f"({','.join(map(str, axis))})" for axis in AFFINE)
        header = [
            "NRRD0004",
            "type: uint8",
            "dimension: 3",
            "space: left-posterior-superior",
            f"sizes: {i} {j} {k}",
            f"space directions: {directions}",
            "kinds: domain domain domain",
            "encoding: gzip",
            "space origin: (0,0,0)",
        ]
        return "\n".join([*header, "", ""]).encode() + gzip.compress(self.voxels(), 1, mtime=0)

    def voxels(self) -> bytes:
        """Voxels of 0 and 1, different for every number."""
        k, j, i = SHAPE
        noise = hashlib.shake_256(str(self.number).encode()).digest(k * j * i // 8)
        return bytes(byte & 1 for byte in noise).ljust(k * j * i, b"\0")

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content()).hexdigest()
