"""Label maps to send: as many different ones as wanted, each small, on the grid of an answer of the server."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

# A block is marked at each of these steps along i and j, so this many maps of one grid differ.
_EDGE = 8


@dataclass(frozen=True)
class LabelFiles:
    """Makes gzip-encoded NRRD from the header of a raw one.

    Attributes:
        header: header of the answer, up to the empty line.
        shape: ``(K, J, I)``.
    """

    header: str
    shape: tuple[int, int, int]

    @classmethod
    def like(cls, nrrd: bytes) -> LabelFiles:
        """Take the grid of an answer of ``/infer`` (raw NRRD, 3-D)."""
        header = nrrd[: nrrd.index(b"\n\n")].decode()
        sizes = next(line for line in header.splitlines() if line.startswith("sizes:"))
        i, j, k = (int(part) for part in sizes.split()[1:])
        return cls(header, (k, j, i))

    def make(self, number: int) -> bytes:
        """Return the label map of this number: one block of 1 in an empty map, somewhere else for each number."""
        k, j, i = self.shape
        columns, rows = max(1, i - _EDGE), max(1, j - _EDGE)
        place, depth = divmod(number, k)
        row, column = divmod(place, columns)
        voxels = bytearray(k * j * i)
        for line in range(row % rows, row % rows + min(_EDGE, j)):
            start = (depth * j + line) * i + column
            voxels[start : start + min(_EDGE, i)] = b"\1" * min(_EDGE, i)
        return f"{self._encoded('gzip')}\n\n".encode() + _gzip(bytes(voxels))

    def _encoded(self, encoding: str) -> str:
        lines = (line for line in self.header.splitlines() if not line.startswith("encoding:"))
        return "\n".join([*lines, f"encoding: {encoding}"])


def _gzip(data: bytes) -> bytes:
    """Compress fast, with gzip's frame around it."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()
