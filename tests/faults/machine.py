"""A server in a mount namespace of its own, whose disks can be filled, made read-only, broken and replaced.

What is mounted there is seen by that server and the commands of :meth:`Machine.run` alone, and goes with them. The
disks are real file systems: ``tmpfs`` of a few MB, or ext4 in a file.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.dicom.phantoms import Grid, sample, write_nifti
from tests.serving import EXTRA_MODELS, ROOT
from tumorseg.labels.fsck import examine

START_TIMEOUT_S = 120
ASK_TIMEOUT_S = 60


@functools.cache
def namespace() -> tuple[str, ...]:
    """Return the command that runs another in a mount namespace of its own, or skip the test saying why."""
    for command in (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount")):
        if shutil.which("unshare"):
            probe = [*command, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
            if subprocess.run(probe, capture_output=True).returncode == 0:
                return command
    pytest.skip("disks cannot be mounted here: needs root, or user namespaces (and unshare of util-linux)")


def require_loop_devices() -> None:
    """Skip where no ext4 can be made and mounted."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not Path("/dev/loop-control").exists():
        pytest.skip("an ext4 disk cannot be made here: needs root, mkfs.ext4 and loop devices")


@dataclass
class Machine:
    """A running server and what can be done to it.

    Attributes:
        address: where it answers.
        process: its process.
        log: file of all that it says.
    """

    address: str
    process: subprocess.Popen[str]
    log: Path

    def run(self, script: str) -> str:
        """Run a shell script where the server's disks are mounted."""
        enter = ["nsenter", "--target", str(self.process.pid), "--mount"]
        if "--user" in namespace():
            enter += ["--user", "--preserve-credentials"]
        done = subprocess.run([*enter, "sh", "-ec", script], capture_output=True, text=True)
        assert done.returncode == 0, f"{script}: {done.stderr}"
        return done.stdout

    def inside(self, path: Path) -> Path:
        """Return a path by which the server's view of ``path`` is seen from here."""
        return Path(f"/proc/{self.process.pid}/root{path}")

    def ask(self, method: str, path: str, **request: Any) -> requests.Response:
        """Send a request."""
        return requests.request(method, f"{self.address}{path}", timeout=ASK_TIMEOUT_S, **request)

    def save(self, image: str, content: bytes, tag: str = "final", name: str = "label.nrrd") -> requests.Response:
        """Send a label."""
        return self.ask(
            "PUT", "/datastore/label", params={"image": image, "tag": tag}, files={"label": (name, content)}
        )

    def label(self, image: str, tag: str = "final") -> requests.Response:
        """Read a label."""
        return self.ask("GET", "/datastore/label", params={"label": image, "tag": tag})

    def infer(self, image: str, model: str = "threshold") -> requests.Response:
        """Segment an image."""
        return self.ask("POST", f"/infer/{model}", params={"image": image, "output": "image"}, data={"params": "{}"})

    def is_well(self) -> None:
        """Check that the server is up and answers, and that nothing it met was unexpected."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        assert self.ask("GET", "/info/").status_code == 200
        assert "Traceback" not in self.log.read_text(), self.log.read_text()[-3000:]


def refused(answer: requests.Response, *statuses: int, says: Sequence[str] = ()) -> str:
    """Check that an answer is a refusal that tells what to do, and return what it says."""
    assert answer.status_code in statuses, f"{answer.status_code} {answer.text[:500]}"
    detail = str(answer.json()["detail"])
    assert "internal error" not in detail
    assert "Traceback" not in detail
    for word in says:
        assert word in detail.lower(), detail
    return detail


@contextmanager
def machine(
    studies: Path | str,
    scratch: Path,
    disks: Mapping[Path, str] | None = None,
    environment: Mapping[str, str] | None = None,
    **conf: Any,
) -> Iterator[Machine]:
    """Run ``tumorseg``'s server.

    Args:
        studies: what it serves.
        scratch: folder for what it writes.
        disks: folder -> arguments of ``mount`` for the disk that is to lie there.
        environment: variables for the server.
        conf: further settings.
    """
    given = {"models": "threshold", "extra_models": EXTRA_MODELS, "prewarm": "no", "port": 0, **conf}
    for key in ("cache", "state", "labels"):
        given.setdefault(key, str(scratch / key))
    command = [sys.executable, "-m", "tumorseg.server.run", str(studies), *(f"{k}={v}" for k, v in given.items())]
    if disks:
        mounts = " && ".join(f"mkdir -p '{folder}' && mount {how} '{folder}'" for folder, how in disks.items())
        command = [*namespace(), "--propagation", "private", "sh", "-ec", f'{mounts} && exec "$@"', "sh", *command]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    log = scratch / "server.log"
    variables = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **(environment or {})}
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            address = next((line.split()[-1] for line in process.stdout if "3D Slicer" in line), None)
            assert address is not None, log.read_text()[-3000:]
            _wait_for(f"{address}/info/")
            yield Machine(address, process, log)
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(url: str) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        try:
            requests.get(url, timeout=START_TIMEOUT_S)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise TimeoutError(url)


def write_studies(folder: Path, grid: Grid, count: int = 2) -> list[str]:
    """Write phantoms as NIfTI and return their ids."""
    names = [f"case{number}" for number in range(count)]
    for name in names:
        write_nifti(folder / f"{name}.nii.gz", grid, sample(grid))
    return names


def answers_as_labels(server: Machine, image: str, count: int) -> list[bytes]:
    """Return different label maps on the grid of an image: the server's own answer with more and more voxels set."""
    answer = server.ask(
        "POST",
        "/infer/threshold",
        params={"image": image, "output": "image"},
        data={"params": '{"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": false}'},
    )
    assert answer.status_code == 200, answer.text
    header, _, voxels = answer.content.partition(b"\n\n")
    assert b"encoding: raw" in header
    return [header + b"\n\n" + b"\1" * number + voxels[number:] for number in range(1, count + 1)]


def mend(labels: Path) -> None:
    """Have fsck repair a folder of labels, and check that it finds nothing after that."""
    report = examine(labels, repair=True, orphan_age_s=0)
    assert not report.unsolved, report.unsolved
    assert not examine(labels, orphan_age_s=0).problems
