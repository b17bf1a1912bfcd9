"""The size that a compressed picture itself announces; its decoder believes that and not the DICOM header."""

from __future__ import annotations

import struct

#: SOF markers of JPEG (ITU-T T.81 table B.1) and of JPEG-LS (T.87).
_FRAME_STARTS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}
#: Width to height of JPEG XL's SizeHeader (ISO/IEC 18181-1 table D.2).
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def announced_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a JPEG, JPEG-LS, JPEG 2000 or JPEG XL codestream; None where it says none."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        if data[:4] == b"\xff\x4f\xff\x51":
            right, bottom, left, top = struct.unpack(">4I", data[8:24])
            return right - left, bottom - top
        if data[:2] == b"\xff\x0a":
            return _jpeg_xl(data[2:14])
    except (struct.error, IndexError):
        pass
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Walk the marker segments to the frame header."""
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0xD9, 0xDA):
            return None
        if marker in _FRAME_STARTS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 if marker in _ALONE else 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]


def _jpeg_xl(data: bytes) -> tuple[int, int]:
    """Read the SizeHeader, bits from the least significant on."""
    bits, used = int.from_bytes(data, "little"), 0

    def take(count: int) -> int:
        nonlocal used
        value = (bits >> used) & ((1 << count) - 1)
        used += count
        return value

    def size(small: bool) -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = bool(take(1))
    height = size(small)
    ratio = take(3)
    if ratio:
        wide, high = _RATIOS[ratio]
        return height * wide // high, height
    return size(small), height
