"""Unpacking a zip that somebody sent: what its entries are called leads nowhere, and it cannot grow without end."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tumorseg.adapters.sources import suffix_of
from tumorseg.errors import InputError
from tumorseg.io.guard.sizes import OversizeError

_PIECE = 1 << 20
_MEGABYTE = 1 << 20
#: Images shrink by far less; an empty volume of zeros may shrink by deflate's utmost, which is about 1032.
_MOST_RATIO = 1100
_PLAIN_SUFFIX = re.compile(r"(\.[a-z0-9]{1,6}){0,2}")
_PACKED = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
    b"\xfd7zXZ\x00",
    b"BZh",
    b"\x28\xb5\x2f\xfd",
)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Bounds:
    """What an archive may hold.

    Attributes:
        files: entries.
        size: bytes of all entries unpacked.
    """

    files: int
    size: int


def is_zip(path: Path) -> bool:
    """Tell by its first bytes whether a file is a zip; what it is called says nothing."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def unpack(archive: Path, folder: Path, bounds: Bounds) -> list[Path]:
    """Unpack the files of a zip into a folder as ``00000.dcm``, ``00001.dcm``, …: of their names only endings are kept.

    Raises:
        InputError: no zip, encrypted, with links, with names that lead out of the folder, or with archives inside.
        OversizeError: more entries or bytes than ``bounds``.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if _is_wanted(entry)]
            _check(packed.infolist(), entries, bounds)
            return [_write(packed, entry, folder / f"{k:05d}{_suffix(entry)}") for k, entry in enumerate(entries)]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault and not the archive's
        raise InputError(
            f"the archive cannot be unpacked ({str(error)[:200]}): send a plain zip, or the files"
        ) from None


def _is_wanted(entry: zipfile.ZipInfo) -> bool:
    """Leave out folders, and what systems hide in archives."""
    hidden = any(re.match(r"\.[^.]|__MACOSX$", part) for part in PurePosixPath(entry.filename).parts)
    return not entry.is_dir() and not hidden


def _check(every: list[zipfile.ZipInfo], wanted: list[zipfile.ZipInfo], bounds: Bounds) -> None:
    """Refuse by the directory of the archive what need not be unpacked to be refused."""
    if len(every) > bounds.files:
        raise OversizeError(f"the archive has {len(every)} entries; this server takes {bounds.files}")
    for entry in every:
        name = entry.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
            raise InputError("the archive has an entry whose name leads out of it: pack the files anew")
        if entry.flag_bits & _ENCRYPTED:
            raise InputError("the archive is encrypted: send it without a password")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError("the archive has links or devices: pack plain files only")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError("the archive is packed in an uncommon way: send a plain zip")
        if entry.file_size > _PIECE and entry.file_size > _MOST_RATIO * entry.compress_size:
            raise OversizeError("the archive has an entry that unpacks to far more than an image would")
    if sum(entry.file_size for entry in every) > bounds.size:
        raise OversizeError(f"the archive unpacks to more than the {bounds.size / _MEGABYTE:.0f} MB that are taken")
    if not wanted:
        raise InputError("the archive holds no files")


def _write(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Path:
    """Unpack one entry, and stop where it is longer than it said."""
    written = 0
    with packed.open(entry) as source, path.open("xb") as file:
        while piece := source.read(_PIECE):
            if not written and piece.startswith(_PACKED):
                raise InputError("the archive holds another archive: send the images themselves")
            written += len(piece)
            if written > entry.file_size:
                raise OversizeError("the archive has an entry that unpacks to more than it says")
            file.write(piece)
    return path


def _suffix(entry: zipfile.ZipInfo) -> str:
    """Return the ending of an entry, where it is one."""
    suffix = suffix_of(Path(PurePosixPath(entry.filename.replace("\\", "/")).name))
    return suffix if _PLAIN_SUFFIX.fullmatch(suffix) else ""
