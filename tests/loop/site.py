"""A site: studies, people, and a server that is killed and started again on the same folders."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests import tiny
from tumorseg.access.types import Role
from tumorseg.access.users import Users
from tumorseg.versions.store import VersionStore

ROOT = Path(__file__).parents[2]
#: A model that nobody has trained when the site opens.
MODEL = "untrained"
ANNOTATORS = ("ann", "bob")
TRAINER = "rita"
PATIENCE_S = 600.0


def until(what: str, done: Callable[[], Any], patience: float = PATIENCE_S) -> Any:
    """Ask again and again until the answer is true; TimeoutError names what did not come."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = done()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not come within {patience:g} s")


@dataclass
class Site:
    """One folder of everything, and the server's process.

    Attributes:
        folder: where studies, labels and state lie.
        patients: ids of the studies.
        kills: how often the server was killed.
    """

    folder: Path
    patients: tuple[str, ...]
    kills: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    studies: dict[str, tiny.Study] = field(default_factory=dict)
    address: str = ""
    _process: subprocess.Popen[str] | None = None

    @property
    def state(self) -> Path:
        """Folder of people, versions and jobs."""
        return self.folder / "state"

    @property
    def versions(self) -> VersionStore:
        """The versions, read from the disk and not through the server."""
        return VersionStore(self.state / "weights")

    def prepare(self) -> None:
        """Write the studies and let two annotators and a reviewer in."""
        self.studies = tiny.write_studies(self.folder / "studies", self.patients)
        users = Users(self.state)
        for name, role in (*((name, Role.ANNOTATOR) for name in ANNOTATORS), (TRAINER, Role.REVIEWER)):
            users.add(name, role)
            self.tokens[name] = users.new_token(name).text

    def start(self) -> None:
        """Start the server and wait until it says where it listens."""
        conf = {
            "models": MODEL,
            "extra_models": tiny.EXTRA_MODELS,
            "cache": self.folder / "cache",
            "labels": self.folder / "labels",
            "state": self.state,
            "port": 0,
            "train_minutes": 1,
            "train_threads": 1,
            "train_nice": 0,
        }
        command = [sys.executable, "-m", "tumorseg.server.run", str(self.folder / "studies")]
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, *(f"{key}={value}" for key, value in conf.items())],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lib")]),
                    "OMP_NUM_THREADS": "1",
                },
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        self.address = next((line.split()[-1] for line in self._process.stdout if "3D Slicer" in line), "")
        if not self.address:
            raise TimeoutError(f"the server did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")
        until("an answer of the server", self._answers)

    def kill(self) -> None:
        """Kill -9 the server and whatever it runs at this moment."""
        assert self._process is not None
        for pid in (self._process.pid, *self.workers()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)
        self.kills += 1

    def kill_server_alone(self) -> None:
        """Kill -9 the server; what it runs has to notice by itself."""
        assert self._process is not None
        left = self.workers()
        self._process.kill()
        self._process.wait(30)
        self.kills += 1
        until("the end of the orphaned training", lambda: not any(map(_lives, left)), 60)

    def stop(self) -> None:
        """Let the server go."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def workers(self) -> list[int]:
        """Return the processes that do jobs of this site."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_worker(entry)]

    def client(self, name: str) -> httpx.Client:
        """Return a client that asks as somebody."""
        return httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {self.tokens[name]}"}, timeout=PATIENCE_S
        )

    def info(self) -> dict[str, Any]:
        """Ask what the viewers ask when they connect."""
        with self.client(ANNOTATORS[0]) as client:
            said: dict[str, Any] = client.get("/info/").raise_for_status().json()
            return said

    def answer(self, image: str) -> bytes:
        """Ask for a mask as OHIF does and return its bytes."""
        with self.client(ANNOTATORS[0]) as client:
            form = {"params": '{"result_extension":".nrrd","result_dtype":"uint8","result_compress":false}'}
            asked = client.post(f"/infer/{MODEL}", params={"image": image, "output": "image"}, data=form)
            return asked.raise_for_status().content

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return bool(self.info())
        return False

    def _is_worker(self, entry: Path) -> bool:
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False
        return bool(re.search(r"tumorseg\.adapters\.jobs\.worker", command)) and str(self.state) in command


def _lives(pid: int) -> bool:
    """Whether a process is there and not only waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
