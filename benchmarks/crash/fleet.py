"""Part two: servers that share one folder of labels, killed again and again while clients save through them."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlencode

from benchmarks.crash.job import AFFINE, SHAPE, Job
from benchmarks.crash.tally import Tally
from benchmarks.servers import ROOT
from tumorseg.errors import UnavailableError

SERVERS = 2
# Of so many saves one ends its server, this many seconds after it was sent at most: about what a save takes.
KILLED = 0.12
LONGEST_DELAY_S = 0.05
_TIMEOUT_S = 60.0
_PATIENCE_S = 180.0


class _Server:
    """One server's place: a process that is started anew whenever it was killed."""

    def __init__(self, scratch: Path, labels: Path, number: int) -> None:
        self._arguments = [
            str(scratch / "studies"),
            "port=0",
            "models=standin",
            "extra_models=standin=benchmarks.load.standin:build",
            f"cache={scratch}/cache{number}",
            f"state={scratch}/state",
            f"labels={labels}",
            "prewarm=no",
        ]
        self._log = scratch / f"server{number}.log"
        self._changing = threading.Lock()
        self.address: str | None = None
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start a process and wait until it says where it listens."""
        path = os.pathsep.join([str(ROOT), str(ROOT / "lib")])
        command = [sys.executable, "-m", "tumorseg.server.run", *self._arguments]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "3D Slicer" in line:
                self.address = line.split()[-1]
                return
        raise UnavailableError(f"a server did not start:\n{self._log.read_text()[-2000:]}")

    def kill_and_start(self) -> bool:
        """Kill -9 the process and start another; tell whether it was up."""
        with self._changing:
            if self.address is None:
                return False
            self.end()
            self.start()
            return True

    def end(self) -> None:
        """Kill -9 the process."""
        self.address = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()


@dataclass
class Fleet(Tally):
    """Servers with one folder of labels, and who sends to them.

    Attributes:
        scratch: folder for studies and what servers write.
        labels: the folder of labels.
        images: how many images the jobs are about.
    """

    scratch: Path
    labels: Path
    images: int

    def save_all(self, jobs: range, clients: int, seed: int, step: Callable[[], None]) -> None:
        """Have every job acknowledged once; one that was not answered is sent again, to whoever is up."""
        _write_images(self.scratch / "studies", self.images)
        self.give_out(jobs)
        servers = [_Server(self.scratch, self.labels, number) for number in range(SERVERS)]
        try:
            for server in servers:
                server.start()
            with ThreadPoolExecutor(clients) as pool:
                running = [pool.submit(self._client, servers, Random(f"{seed} {n}"), step) for n in range(clients)]
        finally:
            for server in servers:
                server.end()
        for client in running:
            client.result()

    def _client(self, servers: list[_Server], rng: Random, step: Callable[[], None]) -> None:
        """Send one job after another until none is left."""
        killers = []
        while (number := self.next()) is not None:
            server = self._up(servers, rng)
            address = server.address
            if rng.random() < KILLED:
                killers.append(threading.Timer(rng.uniform(0, LONGEST_DELAY_S), self._kill, (server,)))
                killers[-1].start()
            self.count(number, address is not None and _save(address, Job(number, self.images)), step)
        for killer in killers:
            killer.join()

    def _kill(self, server: _Server) -> None:
        if server.kill_and_start():
            self.killed()

    def _up(self, servers: list[_Server], rng: Random) -> _Server:
        """Choose a server that is up, waiting for one where none is."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            up = [server for server in servers if server.address is not None]
            if up:
                return rng.choice(up)
            time.sleep(0.05)
        raise UnavailableError("no server came back")


def _save(address: str, job: Job) -> bool:
    """Send one label; tell whether it was acknowledged.

    Raises:
        UnavailableError: the server refused it, which it should not.
    """
    boundary = uuid.uuid4().hex
    said = json.dumps({"label_info": [{"name": "tumor", "idx": 1}], "job": job.number}).encode()
    parts = ((b'name="params"', said), (b'name="label"; filename="label.nrrd"', job.content()))
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary.encode(), head, content)
        for head, content in parts
    )
    request = urllib.request.Request(
        f"{address}/datastore/label?{urlencode({'image': job.image, 'tag': job.tag})}",
        data=body + f"--{boundary}--\r\n".encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            answer.read()
            return True
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return False
        raise UnavailableError(f"a label was refused with {error.code}: {error.read()[:500]!r}") from None
    except (OSError, http.client.HTTPException):  # the server is gone, perhaps while it answered
        return False


def _write_images(folder: Path, images: int) -> None:
    """Write the images that the labels are of."""
    import nibabel
    import numpy as np

    folder.mkdir()
    affine = np.eye(4)
    affine[:3, :3] = np.array(AFFINE).T
    affine[:2] *= -1  # LPS to RAS
    voxels = np.random.default_rng(0).integers(0, 1000, SHAPE[::-1], dtype=np.int16)
    for number in range(images):
        nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / f"case{number}.nii.gz")
