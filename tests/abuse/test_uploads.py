"""Files that are not what they seem, at every door through which files come in, against a server that listens."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import requests
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.abuse.place import AXIAL
from tests.dicom.phantoms import sample, write_dicom_series, write_nifti
from tests.io.guard.test_pictures import png_bomb
from tests.io.guard.test_volumes import META, NRRD
from tests.serving import live

#: What a server may grow by while it refuses everything below, MB; each bomb alone is half a GB and more.
MOST_GROWTH_MB = 250
LARGE = 1 << 29


@dataclass(frozen=True)
class Live:
    """A server that listens, and where it lies."""

    address: str
    root: Path

    def peak_mb(self) -> float:
        """The most memory that the server ever had, MB."""
        owner = next((self.root / "cache" / "incoming").iterdir()).name.partition("-")[0]
        said = Path(f"/proc/{owner}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", said)[0]) / 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    root = tmp_path_factory.mktemp("uploads")
    write_nifti(root / "studies" / "case.nii.gz", AXIAL, sample(AXIAL))
    (root / "secret.raw").write_bytes(np.full(AXIAL.shape, 900, np.int16).tobytes())
    (root / "secret.nrrd").write_text(NRRD.format("data file: secret.raw"))
    with live(root / "studies", root, prewarm="no", max_decoded_mb=256) as address:
        good = {"file": ("a.nii.gz", (root / "studies" / "case.nii.gz").read_bytes())}
        assert requests.post(f"{address}/infer/threshold", files=good, timeout=60).status_code == 200
        yield Live(address, root)


def _nifti(shape: tuple[int, ...] = (4, 5, 6)) -> bytes:
    return bytes(nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)).to_bytes())


@cache
def _zeros(size: int) -> bytes:
    """Gzipped zeros, a thousandth of their size."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as packed:
        for _ in range(size >> 24):
            packed.write(bytes(1 << 24))
    return buffer.getvalue()


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return buffer.getvalue()


@cache
def _deflated_dicom() -> bytes:
    """A DICOM file whose deflated data set goes on and on."""
    import tempfile
    import zlib

    with tempfile.TemporaryDirectory() as folder:
        path = write_dicom_series(Path(folder), AXIAL, sample(AXIAL)[:1])[0]
        data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    head = io.BytesIO()
    pydicom.filewriter.write_file_meta_info(head, data.file_meta)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    body = b"".join(packer.compress(bytes(1 << 24)) for _ in range(LARGE >> 24)) + packer.flush()
    return bytes(128) + b"DICM" + head.getvalue() + body


def _nrrd_bomb() -> bytes:
    return b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 5 6\nencoding: gzip\n\n" + _zeros(LARGE)


#: name of the file, its content. "{root}" in a text is where the server lies.
HOSTILE: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "gzip bomb behind an honest header": ("a.nii.gz", lambda root: gzip.compress(_nifti()) + _zeros(LARGE)),
    "gzip bomb in NRRD": ("a.nrrd", lambda root: _nrrd_bomb()),
    "PNG of 60000 x 60000": ("a.png", lambda root: png_bomb(60_000, 60_000)),
    "deflated DICOM": ("a.dcm", lambda root: _deflated_dicom()),
    "NRRD that points at a file of the server": (
        "a.nrrd",
        lambda root: NRRD.format(f"data file: {root}/secret.raw").encode(),
    ),
    "MetaImage that points at a file of the server": (
        "a.mha",
        lambda root: (META.format(f"ElementDataFile : {root}/secret.raw") + "ElementDataFile = LOCAL\n").encode(),
    ),
    "detached NRRD header": ("a.nhdr", lambda root: NRRD.format("data file: /etc/passwd").encode()),
    "EPS under a picture's name": ("a.png", lambda root: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n"),
    "program": ("a.nii.gz.py", lambda root: b"import os; os.system('touch evil')"),
    "pickle": ("a.nii.gz", lambda root: b"cos\nsystem\n(S'touch evil'\ntR."),
}  # fmt: skip

#: name -> (method, address, name of the form's part); every door through which a file comes in.
DOORS = {
    "infer": ("POST", "/infer/threshold", "file"),
    "session": ("PUT", "/session/", "files"),
    "image": ("PUT", "/datastore/image?image=new", "file"),
    "label": ("PUT", "/datastore/label?image=case", "label"),
    "model": ("PUT", "/model/threshold", "file"),
}


def _left(server: Live) -> list[str]:
    """What requests left behind."""
    places = [*(server.root / "cache" / "incoming").glob("*/*"), *(server.root / "cache" / "sessions").glob("*")]
    return [str(path) for path in places]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", HOSTILE)
def test_files_that_are_not_what_they_seem(what: str, door: str, server: Live) -> None:
    (name, make), (method, path, part) = HOSTILE[what], DOORS[door]
    before, labels = server.peak_mb(), sorted(server.root.rglob("labels/**/*.n*"))
    files = {part: (name, make(server.root))}
    answer = requests.request(method, server.address + path, files=files, timeout=120)
    assert answer.status_code in (400, 413, 422), answer.text[:300]
    assert str(server.root) not in answer.text
    assert server.peak_mb() - before < MOST_GROWTH_MB
    assert not _left(server)
    assert not list(server.root.rglob("evil*"))
    assert sorted(server.root.rglob("labels/**/*.n*")) == labels
    assert len(list((server.root / "studies").glob("*.n*"))) == 1


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "zip bomb": lambda: _zip({f"{k}.dcm": bytes(1 << 24) for k in range(20)}),
    "zip in a zip": lambda: _zip({"a.zip": _zip({"b.dcm": bytes(1 << 24)})}),
    "zip of gzip bombs": lambda: _zip({"a.nii.gz": gzip.compress(_nifti()) + _zeros(LARGE)}),
    "zip slip": lambda: _zip({"../../../../evil.dcm": b"x"}),
    "zip that points": lambda: _zip({"a.nhdr": NRRD.format("data file: /etc/passwd").encode(), "passwd": b"x"}),
}  # fmt: skip


@pytest.mark.parametrize("what", ARCHIVES)
def test_archives_that_are_not_what_they_seem(what: str, server: Live) -> None:
    before = server.peak_mb()
    files = {"files": ("a.zip", ARCHIVES[what]())}
    answer = requests.put(f"{server.address}/session/?uncompress=true", files=files, timeout=120)
    assert answer.status_code in (413, 422), answer.text[:300]
    assert server.peak_mb() - before < MOST_GROWTH_MB
    assert not _left(server)
    assert not list(server.root.rglob("evil*"))


@pytest.mark.parametrize(
    "params",
    [
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "[" * 500_000,
        json.dumps({"client_id": "x" * 600_000}),
        json.dumps({str(k): k for k in range(60_000)}),
        '{"score": ' + "9" * 200_000 + "}",
        '{"score": NaN}',
        '{"score": 1e999}',
        '{"client_id": "\\ud800"}',
        '{"result_extension": ["../../evil"]}',
        '{"__proto__": {}, "model": "x"}',
    ],
    ids=["deep", "deeper", "long", "wide", "a long number", "NaN", "infinity", "half a letter", "a list", "model"],
)
def test_json_that_is_deep_huge_or_odd(params: str, server: Live) -> None:
    for path, part in (("/infer/blobs?image=case", "params"), ("/datastore/image/info?image=case", "info")):
        method = "PUT" if part == "info" else "POST"
        answer = requests.request(method, server.address + path, data={part: params}, timeout=60)
        assert answer.status_code in (200, 400, 404, 413, 422), answer.text[:300]
    body = {"headers": {"Content-Type": "application/json"}, "data": params, "timeout": 60}
    answer = requests.post(f"{server.address}/activelearning/first", **body)  # type: ignore[arg-type]
    assert answer.status_code < 500, answer.text[:300]
    assert requests.get(f"{server.address}/info/", timeout=60).status_code == 200
