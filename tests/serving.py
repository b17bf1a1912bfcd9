"""What the tests of a running server share: phantoms as studies, a server in this process or in another, answers."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from fastapi import FastAPI
from numpy.typing import NDArray
from starlette.testclient import TestClient

from tests.dicom.phantoms import TUMOUR, grid_points, phantom_points
from tumorseg.access.types import Role
from tumorseg.access.users import Users
from tumorseg.config import AppConfig
from tumorseg.geometry import Grid

ROOT = Path(__file__).parents[1]
#: The stand-in models of a test server: conf only, no request can name a factory.
EXTRA_MODELS = ",".join(
    f"{name}=tests.support:build_{factory}"
    for name, factory in {
        "threshold": "bright",
        "slow": "slow",
        "blobs": "blobs",
        "picture_blobs": "picture_blobs",
        "steps": "steps",
    }.items()
)
#: The form that OHIF's panel sends with every auto-segmentation.
OHIF_PARAMS = {
    "result_extension": ".nrrd",
    "result_dtype": "uint8",
    "result_compress": False,
    "restore_label_idx": False,
}
#: What Slicer's panel sends.
SLICER_PARAMS = {"result_extension": ".nrrd", "result_dtype": "uint8", "client_id": "user-xyz"}
START_TIMEOUT_S = 120


def config_for(studies: Path | str, scratch: Path, **conf: Any) -> AppConfig:
    """Configure a server of ``studies`` with the stand-in model that marks the phantom's tumour."""
    given = {"models": "threshold", "extra_models": EXTRA_MODELS, "cache": scratch / "cache", "prewarm": "no", **conf}
    given.setdefault("state", scratch / "state")
    given.setdefault("interactive", "none")  # most tests click nowhere, and no network need be loaded for them
    given.setdefault("allowed_hosts", "testserver")  # what Starlette's client calls the server
    return AppConfig.parse(studies, given, environ={})


def token_of(state: Path, name: str = "ann", role: Role = Role.ANNOTATOR, password: str | None = None) -> str:
    """Add somebody to a server's people and return a personal token of theirs; from then on people sign in."""
    users = Users(state)
    users.add(name, role, password)
    return users.new_token(name).text


@contextmanager
def in_process(config: AppConfig) -> Iterator[TestClient]:
    """Run the real application in this process; an unexpected error is answered, not raised."""
    from tumorseg.server.app import create_app

    with TestClient(create_app(config), raise_server_exceptions=False) as client:
        yield client


@contextmanager
def here(config: AppConfig) -> Iterator[tuple[FastAPI, str]]:
    """Run the real application behind a real port in a thread of this process; give both, the address last."""
    import uvicorn

    from tumorseg.server.app import create_app

    app = create_app(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            _wait_for(f"{address}/info/")
            yield app, address
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def live(studies: Path, scratch: Path, **conf: Any) -> Iterator[str]:
    """Run ``tumorseg``'s server in a process of its own on a free port and give its address."""
    with launched(studies, scratch, **conf) as (address, _):
        yield address


@contextmanager
def launched(studies: Path, scratch: Path, **conf: Any) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Do the same and give the process too."""
    given = {"models": "threshold", "extra_models": EXTRA_MODELS, "cache": str(scratch / "cache"), **conf}
    given.setdefault("state", str(scratch / "state"))
    given.setdefault("interactive", "none")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    conf = [f"{key}={value}" for key, value in {**given, "port": 0}.items()]
    command = [sys.executable, "-m", "tumorseg.server.run", str(studies), *conf]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(line.split()[-1] for line in process.stdout if "3D Slicer" in line)
            _wait_for(f"{address}/info/")
            yield address, process
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(url: str) -> None:
    """Ask until there is an answer, be it that one has to sign in."""
    end = time.monotonic() + START_TIMEOUT_S
    anybody = ssl._create_unverified_context()  # whether the certificate is right is for the test to look at
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=START_TIMEOUT_S, context=anybody):
                return
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                return
            time.sleep(0.2)
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(url)


def ask_ohif(client: TestClient, image: str, model: str = "threshold") -> bytes:
    """Send what OHIF sends and return the answer's bytes."""
    answer = client.post(
        f"/infer/{model}", params={"image": image, "output": "image"}, data={"params": json.dumps(OHIF_PARAMS)}
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def ask_slicer(
    client: TestClient, image: str, model: str = "threshold", **params: Any
) -> tuple[dict[str, Any], str, bytes]:
    """Send what Slicer sends and return the description, the file name and the file."""
    said = json.dumps({**SLICER_PARAMS, **params})
    answer = client.post(f"/infer/{model}", params={"image": image}, data={"params": said})
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = list(BytesParser(policy=HTTP).parsebytes(head + answer.content).iter_parts())
    named = {part.get_param("name", header="content-disposition"): part for part in parts}
    body = named["image"].get_payload(decode=True)
    return json.loads(named["params"].get_content()), str(named["image"].get_filename()), body


def raw_voxels(nrrd: bytes) -> NDArray[np.uint8]:
    """Return the voxels as OHIF's panel copies them: whatever follows the header, flat."""
    header, _, voxels = nrrd.partition(b"\n\n")
    assert b"encoding: raw" in header
    assert b"type: uint8" in header
    return np.frombuffer(voxels, np.uint8)


def tumour_mask(grid: Grid) -> NDArray[np.bool_]:
    """Tell which voxels of a grid lie in the phantom's tumour, ``(K, J, I)``."""
    return (phantom_points(grid_points(grid)) == TUMOUR).reshape(grid.shape)


def read_label(path: Path) -> tuple[NDArray[np.uint8], Grid]:
    """Read a label file with ITK alone, so that only its header says where it lies."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    voxels = sitk.GetArrayFromImage(image)
    return voxels, Grid(voxels.shape, affine)


def dice(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the Dice overlap of two masks; 1 where both are empty."""
    total = int((one > 0).sum() + (other > 0).sum())
    return 2.0 * int(((one > 0) & (other > 0)).sum()) / total if total else 1.0


def seen_from(mask: Any, own: Grid, grid: Grid) -> Any:
    """Look up a mask at every voxel centre of another grid, which must all be voxel centres of its own."""
    indices = own.indices(grid_points(grid))
    assert np.abs(indices - indices.round()).max() < 0.01
    i, j, k = indices.round().astype(int).T
    return mask[k, j, i].reshape(grid.shape)
