"""PNG, JPEG and TIFF that somebody sent."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tumorseg.errors import InputError
from tumorseg.io.guard.check import check_file
from tumorseg.io.guard.sizes import OversizeError

MOST = 1 << 20


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "1"])
def test_honest_pngs_pass(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (30, 20)).save(tmp_path / "a.png")
    assert check_file(tmp_path / "a.png", MOST) == 600 * {"L": 1, "RGB": 3, "RGBA": 4, "I;16": 2, "1": 1}[mode]


def test_honest_jpegs_and_tiffs_pass(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg")
    assert check_file(tmp_path / "a.jpg", MOST) == 1800
    for compression in (None, "lzw", "zlib", "packbits"):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 30, 20), np.uint16), compression=compression)
        assert check_file(tmp_path / "a.tif", MOST) == 6000


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is very large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(2000, 2000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_picture_bombs_are_refused_by_their_header(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_bomb(*size))
    with pytest.raises(OversizeError):
        check_file(tmp_path / "a.png", MOST)
    tifffile.memmap(tmp_path / "a.tif", shape=(1025, 1024), dtype=np.uint8)
    with pytest.raises(OversizeError):
        check_file(tmp_path / "a.tif", MOST)


def test_a_tiff_whose_pages_share_their_pixels_is_counted_page_by_page(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2000, 30, 20), np.uint8))
    with pytest.raises(OversizeError):
        check_file(tmp_path / "a.tif", MOST)


def test_a_tiff_packed_in_an_uncommon_way_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.uint8), compression="zstd")
    with pytest.raises(InputError, match="packed as"):
        check_file(tmp_path / "a.tif", MOST)


def test_a_tile_far_larger_than_its_picture_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.uint8), tile=(2048, 2048), compression="zlib")
    with pytest.raises(OversizeError):
        check_file(tmp_path / "a.tif", MOST)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "EPS", "PDF"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_other_pictures_under_these_names_are_not_read(kind: str, name: str, tmp_path: Path) -> None:
    """Of Pillow's readers some start other programs (Ghostscript for EPS)."""
    with (tmp_path / name).open("wb") as file:
        Image.new("L", (9, 9)).save(file, kind)
    with pytest.raises(InputError, match="is no"):
        check_file(tmp_path / name, MOST)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_damaged_pictures_are_refused(name: str, tmp_path: Path) -> None:
    for data in (b"", b"x" * 500, b"II*\0\xff\xff\xff\xff", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError):
            check_file(tmp_path / name, MOST)
