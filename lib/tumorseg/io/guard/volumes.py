"""NIfTI, NRRD and MetaImage: how large, and whether the file holds its own voxels.

All three formats can name another file as the place of their voxels. An upload that does would read what lies on the
server: it is refused, whichever way it is written. The programs behind us (ITK, pynrrd, teem) understand more
spellings than the formats' texts; what is not written plainly is refused too.
"""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

from tumorseg.io.guard.sizes import SLACK, bunzipped, gunzipped, refused, require_no_more, voxel_bytes

_GZIP = b"\x1f\x8b"
#: NIfTI datatype code -> bytes.
_NIFTI_BYTES = {
    1: 1 / 8, 2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8,
    1536: 16, 1792: 16, 2048: 32, 2304: 4,
}  # fmt: skip
_MOST_EXTENSION = 16 << 20
_NRRD_BYTES = {
    "signed char": 1, "int8": 1, "int8_t": 1, "uchar": 1, "unsigned char": 1, "uint8": 1, "uint8_t": 1,
    "short": 2, "short int": 2, "signed short": 2, "signed short int": 2, "int16": 2, "int16_t": 2,
    "ushort": 2, "unsigned short": 2, "unsigned short int": 2, "uint16": 2, "uint16_t": 2,
    "int": 4, "signed int": 4, "int32": 4, "int32_t": 4, "uint": 4, "unsigned int": 4, "uint32": 4, "uint32_t": 4,
    "longlong": 8, "long long": 8, "long long int": 8, "signed long long": 8, "signed long long int": 8,
    "int64": 8, "int64_t": 8, "ulonglong": 8, "unsigned long long": 8, "unsigned long long int": 8,
    "uint64": 8, "uint64_t": 8, "float": 4, "double": 8,
}  # fmt: skip
_NRRD_HEADER = 1 << 20
_META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_LONG": 8,
    "MET_ULONG": 8, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
_META_HEADER = 1 << 16


def check_nifti(path: Path, most: int) -> int:
    """Look at a NIfTI file, plain or gzipped, and return the bytes of its voxels."""
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
        file.seek(0)
        start = _first(gunzipped(file), 540) if zipped else file.read(540)
    sizes, code, offset = _nifti_header(path, start)
    if code not in _NIFTI_BYTES:
        raise refused(path, f"has voxels of the unknown datatype {code}")
    if not math.isfinite(offset) or not 0 <= offset <= _MOST_EXTENSION:
        raise refused(path, f"says that its voxels begin at byte {offset:g}; expected them behind its header")
    total = voxel_bytes(path, sizes, _NIFTI_BYTES[code], most)
    if zipped:
        with path.open("rb") as file:
            require_no_more(path, gunzipped(file), int(offset) + total + SLACK)
    return total


def _nifti_header(path: Path, start: bytes) -> tuple[list[int], int, float]:
    """Return sizes, datatype and offset of the voxels."""
    for order in "<>":
        size = struct.unpack(f"{order}i", start[:4].ljust(4, b"\0"))[0]
        if size == 348 and len(start) >= 348:
            magic, dim = start[344:348], struct.unpack(f"{order}8h", start[40:56])
            code, offset = struct.unpack(f"{order}h", start[70:72])[0], struct.unpack(f"{order}f", start[108:112])[0]
        elif size == 540 and len(start) >= 540:
            magic, dim = start[4:8], struct.unpack(f"{order}8q", start[16:80])
            code, offset = struct.unpack(f"{order}h", start[12:14])[0], struct.unpack(f"{order}q", start[168:176])[0]
        else:
            continue
        if magic not in (b"n+1\0", b"n+2\0"):
            raise refused(path, "keeps its voxels in another file (.hdr and .img); send one .nii or .nii.gz")
        if not 1 <= dim[0] <= 7:
            raise refused(path, f"has {dim[0]} axes; expected one to seven")
        return list(dim[1 : dim[0] + 1]), code, offset
    raise refused(path, "is not NIfTI; is it damaged, or another kind of file?")


def check_nrrd(path: Path, most: int) -> int:
    """Look at a NRRD file (attached, in plain fields) and return the bytes of its voxels."""
    with path.open("rb") as file:
        head = file.read(_NRRD_HEADER)
        fields, begin = _nrrd_header(path, head)
        kind, encoding = fields.get("type", "").lower(), fields.get("encoding", "").lower()
        if kind not in _NRRD_BYTES:
            raise refused(path, f"has voxels of the type {kind[:40]!r}; expected whole or real numbers")
        skips = {fields.get(name, "0") for name in ("lineskip", "byteskip")}
        if not skips <= {"0", "-1"}:
            raise refused(path, "skips lines or bytes before its voxels; write it again without")
        total = voxel_bytes(path, _numbers(path, fields.get("sizes", "")), _NRRD_BYTES[kind], most)
        file.seek(begin)
        if encoding in ("gz", "gzip"):
            require_no_more(path, gunzipped(file), total + SLACK)
        elif encoding in ("bz2", "bzip2"):
            require_no_more(path, bunzipped(file), total + SLACK)
        elif encoding not in ("raw", "txt", "text", "ascii"):
            raise refused(path, f"has the encoding {encoding[:40]!r}; expected raw, gzip, bzip2 or text")
    return total


def _nrrd_header(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """Return the fields (names in lower case, without spaces) and where the voxels begin."""
    if not re.match(rb"NRRD000[1-6]\r?\n", head):
        raise refused(path, "is not NRRD; is it damaged, or another kind of file?")
    fields: dict[str, str] = {}
    begin = 0
    while (end := head.find(b"\n", begin)) >= 0:
        line, first, begin = head[begin:end].removesuffix(b"\r"), begin == 0, end + 1
        if not line:
            return fields, begin
        if not line.strip() or b"\r" in line or b"\0" in line:
            raise refused(path, "has a line in its header that programs read differently; write it again")
        if first or line.startswith(b"#"):
            continue
        name, _, value = line.decode("latin-1").partition(":")
        name = re.sub(r"\s", "", name).lower()
        if name == "datafile":
            raise refused(path, "keeps its voxels in another file; send one NRRD file that holds them")
        if value.startswith("="):
            continue
        if name in fields:
            raise refused(path, f"says {name[:40]!r} twice in its header")
        fields[name] = value.strip()
    raise refused(path, "has no end of its header; is it cut off?")


def check_metaimage(path: Path, most: int) -> int:
    """Look at a MetaImage file (one that holds its own voxels) and return their bytes."""
    with path.open("rb") as file:
        head = file.read(_META_HEADER)
    at = head.lower().find(b"elementdatafile")
    own = at >= 0 and re.match(rb"ElementDataFile *= *LOCAL *\r?\n", head[at : at + 100])
    if not own or (at and head[at - 1 : at] != b"\n"):
        raise refused(path, "is no MetaImage that holds its own voxels (ElementDataFile = LOCAL)")
    fields = _meta_fields(path, head[:at])
    kind = fields.get("elementtype", "").removesuffix("_ARRAY")
    if kind not in _META_BYTES:
        raise refused(path, f"has voxels of the type {kind[:40]!r}; expected whole or real numbers")
    if fields.get("headersize", "0") != "0":
        raise refused(path, "says that its voxels begin elsewhere than behind its header")
    packed = _numbers(path, fields.get("compresseddatasize", "0"))
    if packed[0] > path.stat().st_size:
        raise refused(path, "promises more compressed voxels than it holds; is it cut off?")
    channels = _numbers(path, fields.get("elementnumberofchannels", "1"))
    return voxel_bytes(path, [*_numbers(path, fields.get("dimsize", "")), *channels], _META_BYTES[kind], most)


def _meta_fields(path: Path, head: bytes) -> dict[str, str]:
    """Return the fields before the voxels, names in lower case."""
    fields: dict[str, str] = {}
    for line in head.split(b"\n"):
        text = line.removesuffix(b"\r").decode("latin-1")
        if not text.strip():
            continue
        name, sign, value = text.partition("=")
        name = name.strip().lower()
        if not sign or "\r" in text or "\0" in text or name in fields:
            raise refused(path, "has a line in its header that programs read differently; write it again")
        fields[name] = value.strip()
    return fields


def _numbers(path: Path, text: str) -> list[int]:
    """Read whole numbers with spaces between them."""
    if not re.fullmatch(r"\s*[0-9]{1,12}(\s+[0-9]{1,12}){0,7}\s*", text):
        raise refused(path, f"has {text[:40]!r} where whole numbers are expected")
    return [int(number) for number in text.split()]


def _first(pieces: object, count: int) -> bytes:
    """Return the first bytes of a stream."""
    start = b""
    for piece in pieces:  # type: ignore[attr-defined]
        start += piece[: count - len(start)]
        if len(start) >= count:
            break
    return start
