"""``make demo-check``: start the demo's server, ask as OHIF and as Slicer do, compare with the stored mask, stop.

The last line is one JSON object: ``dice`` is the lower of both answers' overlaps with the expected mask, ``ohif_ms``
and ``slicer_ms`` are the times of one warm request each, ``first_ms`` is from the start of the process to the first
mask. The exit code is 1 where ``dice`` is below :data:`MIN_DICE`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from tumorseg.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from tumorseg.types import Segmentation

#: The mask was made by the same weights; other processors round a few voxels at its edge differently.
MIN_DICE = 0.98
START_TIMEOUT_S = 180.0
STUDY = "lgg_dicom"
EXPECTED = "expected/lgg_default.nii.gz"
_OHIF = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False, "restore_label_idx": False}
_SLICER = {"result_extension": ".nrrd", "result_dtype": "uint8", "client_id": "user-xyz"}


@dataclass(frozen=True)
class DemoResult:
    """What the check measured; see the module."""

    dice: float
    ohif_ms: float
    slicer_ms: float
    first_ms: float


def demo_check(sample_data: Path, settings: Sequence[str] = ()) -> DemoResult:
    """Run the check on a ``sample_data`` folder.

    Args:
        sample_data: holds the study and the expected mask.
        settings: further ``key=value`` settings for the server.

    Raises:
        InputError: study or expected mask are not there.
        UnavailableError: the server did not start or did not answer.
    """
    study, expected = sample_data / STUDY, sample_data / EXPECTED
    for path in (study, expected):
        if not path.exists():
            raise InputError(f"expected {path}: `make sample-data` and `make sample-expected` write it")
    truth = _read(expected)
    begin = time.perf_counter()
    with _server(study, settings) as address:
        series = _choose_series(address)
        model = next(iter(_json(f"{address}/info/")["models"]), "")
        _ask_ohif(address, model, series)
        first = time.perf_counter() - begin
        ohif, ohif_s = _timed(_ask_ohif, address, model, series)
        slicer, slicer_s = _timed(_ask_slicer, address, model, series)
    seen = _read_nrrd(slicer)
    overlaps = (_dice(truth, seen), _dice(truth, _as_displayed(ohif, seen)))
    return DemoResult(round(min(overlaps), 4), *(round(1000 * s, 1) for s in (ohif_s, slicer_s, first)))


@contextmanager
def _server(study: Path, settings: Sequence[str]) -> Iterator[str]:
    """Run a server on a free port until the block ends, with a cache of its own, and give its address."""
    with tempfile.TemporaryDirectory(prefix="tumorseg-demo-") as scratch:
        command = [
            sys.executable,
            "-m",
            "tumorseg.server.run",
            str(study),
            "port=0",
            "auth=off",
            f"cache={scratch}/cache",
        ]
        command += [f"labels={scratch}/labels", f"state={scratch}/state", *settings]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield _address(process)
            finally:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    """Read from the server's output where it listens, and wait until it answers."""
    lines = process.stdout or ()
    address = next((line.split()[-1] for line in lines if line.strip().startswith("3D Slicer")), "")
    end = time.monotonic() + START_TIMEOUT_S
    while address and process.poll() is None and time.monotonic() < end:
        try:
            with urlopen(f"{address}/docs", timeout=START_TIMEOUT_S):
                return address
        except URLError:
            time.sleep(0.05)
    raise UnavailableError("the server did not start: see its messages above")


def _choose_series(address: str) -> str:
    """Find the study and its FLAIR as OHIF's study list does (QIDO-RS)."""
    query = urlencode({"limit": 101, "offset": 0, "fuzzymatching": "false", "includefield": "00081030,00080060"})
    studies = _json(f"{address}/proxy/dicom/qido/studies?{query}")
    uid = studies[0]["0020000D"]["Value"][0]
    series = _json(f"{address}/proxy/dicom/qido/studies/{uid}/series?includefield=0008103E")
    described = {str(one["0020000E"]["Value"][0]): str(one.get("0008103E", {}).get("Value", [""])[0]) for one in series}
    return next((uid for uid, said in described.items() if "FLAIR" in said.upper()), next(iter(described)))


def _ask_ohif(address: str, model: str, series: str) -> bytes:
    """Send OHIF's auto-segmentation request; the answer is the NRRD."""
    return _post(f"{address}/infer/{quote(model)}?{urlencode({'image': series, 'output': 'image'})}", _OHIF)[0]


def _ask_slicer(address: str, model: str, series: str) -> bytes:
    """Send Slicer's request and take the NRRD out of the parts of the answer."""
    body, kind = _post(f"{address}/infer/{quote(model)}?{urlencode({'image': series})}", _SLICER)
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    for part in message.iter_parts():
        if part.get_filename():
            return bytes(part.get_content())
    raise UnavailableError("the answer to Slicer's request holds no file")


def _post(url: str, params: dict[str, Any]) -> tuple[bytes, str]:
    """Send a form with ``params`` and return body and content type of the answer."""
    try:
        with urlopen(Request(url, data=urlencode({"params": json.dumps(params)}).encode())) as answer:
            return answer.read(), answer.headers["Content-Type"]
    except HTTPError as error:
        raise UnavailableError(f"the server answered {error.code}: {error.read().decode()[:500]}") from None


def _json(url: str) -> Any:
    with urlopen(url) as answer:
        return json.load(answer)


def _timed(ask: Any, *arguments: str) -> tuple[bytes, float]:
    begin = time.perf_counter()
    data: bytes = ask(*arguments)
    return data, time.perf_counter() - begin


def _read_nrrd(data: bytes) -> Segmentation:
    """Read an answer by its header, as Slicer does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.nrrd"
        path.write_bytes(data)
        return _read(path)


def _read(path: Path) -> Segmentation:
    """Read a label map with ITK and nothing of ours."""
    import numpy as np
    import SimpleITK as sitk

    from tumorseg.geometry import Grid, affine_from_parts
    from tumorseg.types import Segmentation

    image = sitk.ReadImage(str(path))
    direction = np.array(image.GetDirection()).reshape(3, 3)
    voxels = sitk.GetArrayFromImage(image).astype(np.uint8)
    grid = Grid(voxels.shape, affine_from_parts(image.GetOrigin(), direction, image.GetSpacing()))
    return Segmentation(voxels, grid, {"tumour": 1})


def _as_displayed(nrrd: bytes, series: Segmentation) -> Segmentation:
    """Take the voxels behind the header flat, as OHIF does, in the order of the displayed series.

    Rows and columns as stored, slices along row direction x column direction: of the series' two possible orders of
    slices the one with a right-handed grid.
    """
    import numpy as np

    from tumorseg.geometry import Reorientation
    from tumorseg.types import Segmentation

    grid = series.grid
    if np.linalg.det(grid.affine[:3, :3]) < 0:
        grid = Reorientation((0, 1, 2), (True, False, False)).grid(grid)
    voxels = np.frombuffer(nrrd.partition(b"\n\n")[2], np.uint8).reshape(grid.shape)
    return Segmentation(voxels, grid, series.labels)


def _dice(expected: Segmentation, answer: Segmentation) -> float:
    """Dice overlap where both lie in the patient; 1 where both are empty."""
    from tumorseg.geometry import resample

    here = resample(expected.voxels, expected.grid, answer.grid, linear=False) > 0
    both = int((here & (answer.voxels > 0)).sum())
    total = int(here.sum() + (answer.voxels > 0).sum())
    return 2 * both / total if total else 1.0


def main(arguments: Sequence[str]) -> int:
    """Run the check on the folder named first, ``sample_data`` by default."""
    try:
        result = demo_check(Path(arguments[0] if arguments else "sample_data"), arguments[1:])
    except (InputError, UnavailableError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    return 0 if result.dice >= MIN_DICE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
