"""Zips that somebody sent."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tumorseg.errors import InputError
from tumorseg.io.guard.sizes import OversizeError
from tumorseg.server.archives import Bounds, is_zip, unpack

BOUNDS = Bounds(files=100, size=4 << 20)


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these entries, named exactly so."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, data in entries.items():
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            entry.compress_type = method
            packed.writestr(entry, data)
    return buffer.getvalue()


def linked(target: str = "/etc/passwd") -> bytes:
    """A zip with a symbolic link."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        entry = zipfile.ZipInfo("a.dcm")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(entry, target)
    return buffer.getvalue()


def _unpack(data: bytes, folder: Path, bounds: Bounds = BOUNDS) -> list[Path]:
    (folder / "a.zip").write_bytes(data)
    (folder / "out").mkdir()
    return unpack(folder / "a.zip", folder / "out", bounds)


def test_files_come_out_numbered_with_their_endings(tmp_path: Path) -> None:
    entries = {
        "study/series/": b"", "study/series/IM1.dcm": b"one", "study/IM2": b"two", "brain.nii.gz": b"three",
        "__MACOSX/IM1.dcm": b"no", ".DS_Store": b"no", "study/.hidden": b"no", "a.b c;d": b"four",
    }  # fmt: skip
    found = _unpack(zipped(entries), tmp_path)
    assert {path.name: path.read_bytes() for path in found} == {
        "00000.dcm": b"one", "00001": b"two", "00002.nii.gz": b"three", "00003": b"four",
    }  # fmt: skip
    assert is_zip(tmp_path / "a.zip")
    assert not is_zip(found[0])


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "\\\\host\\evil"])
def test_zip_slip(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leads out"):
        _unpack(zipped({"good.dcm": b"x", name: b"x"}), tmp_path)
    assert not list((tmp_path / "out").iterdir())


def test_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="links"):
        _unpack(linked(), tmp_path)


def _encrypted() -> bytes:
    data = bytearray(zipped({"a.dcm": b"secret"}))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    data[6] |= 1
    return bytes(data)


def _longer_than_it_says() -> bytes:
    """The directory says 10 bytes, the stream goes on."""
    data = bytearray(zipped({"a.dcm": bytes(1 << 20)}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    data[22:26] = (10).to_bytes(4, "little")
    return bytes(data)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "encrypted": (_encrypted, "encrypted"),
    "an archive in the archive": (lambda: zipped({"a.zip": zipped({"b": b"x"})}), "another archive"),
    "one under a plain name": (lambda: zipped({"a.dcm": zipped({"b": b"x"})}), "another archive"),
    "an uncommon packing": (lambda: zipped({"a": b"x"}, zipfile.ZIP_LZMA), "uncommon"),
    "no zip": (lambda: b"PK\x03\x04 and nothing", "cannot be unpacked"),
    "cut off": (lambda: zipped({"a": b"x" * 1000})[:-30], "cannot be unpacked"),
    "empty": (lambda: zipped({}), "no files"),
    "damaged": (lambda: zipped({"a": b"x" * 1000}).replace(b"PK\x03\x04", b"PK\x03\x05"), "cannot be unpacked"),
    "longer than it says": (_longer_than_it_says, "cannot be unpacked|more than it says"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archives_are_refused(what: str, tmp_path: Path) -> None:
    make, message = HOSTILE[what]
    with pytest.raises(InputError, match=message):
        _unpack(make(), tmp_path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({f"{k}.dcm": b"x" for k in range(101)}, "101 entries"),
        ({"a.dcm": bytes(5 << 20)}, "4 MB"),
        ({f"{k}.dcm": bytes(1 << 20) for k in range(5)}, "4 MB"),
    ],
)
def test_zip_bombs(entries: dict[str, bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(OversizeError, match=message):
        _unpack(zipped(entries), tmp_path)
    assert not list((tmp_path / "out").iterdir())


def test_entries_that_share_their_bytes(tmp_path: Path) -> None:
    """Fifield's bomb: a thousand entries over one stream, small in the file and large on the disk."""
    data = zipped({"a.dcm": bytes(1 << 20)})
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    directory = data[at:end] * 50
    tail = bytearray(data[end:])
    tail[8:12] = (50).to_bytes(2, "little") * 2
    tail[12:16] = len(directory).to_bytes(4, "little")
    with pytest.raises(InputError):
        _unpack(data[:at] + directory + bytes(tail), tmp_path)
