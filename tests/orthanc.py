"""A real PACS for tests: Debian's Orthanc with its DICOMweb plugin, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_PLUGINS = Path("/usr/share/orthanc/plugins")
_START_TIMEOUT_S = 60


def require_orthanc() -> str:
    """Return the program, or skip saying what is absent."""
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None or not (_PLUGINS / "libOrthancDicomWeb.so").exists():
        pytest.skip("Orthanc or its DICOMweb plugin is not installed (Debian: orthanc, orthanc-dicomweb)")
    return program


class Orthanc:
    """A PACS that can be stopped and started again, with what it has and at the same address.

    Attributes:
        dicomweb: address of its DICOMweb service.
    """

    def __init__(self, scratch: Path) -> None:
        self._program = require_orthanc()
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None
        port, dicom_port = _free_port(), _free_port()
        self._address = f"http://127.0.0.1:{port}"
        self.dicomweb = f"{self._address}/dicom-web"
        scratch.mkdir(parents=True, exist_ok=True)
        # 1.10 ignores HttpBindAddresses: what keeps it to this computer is RemoteAccessAllowed.
        settings = {
            "Name": "test",
            "StorageDirectory": str(scratch / "storage"),
            "IndexDirectory": str(scratch / "storage"),
            "HttpPort": port,
            "DicomPort": dicom_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [str(_PLUGINS / "libOrthancDicomWeb.so")],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (scratch / "orthanc.json").write_text(json.dumps(settings))

    @contextmanager
    def running(self) -> Iterator[Orthanc]:
        """Run it while the block runs."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._scratch / "orthanc.log").open("ab") as log:
            command = [self._program, str(self._scratch / "orthanc.json")]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        _wait(f"{self._address}/system", self._process)

    def stop(self) -> None:
        """Stop it where it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def store(self, files: Sequence[Path]) -> None:
        """Give it DICOM files."""
        for file in files:
            request = urllib.request.Request(f"{self._address}/instances", data=file.read_bytes(), method="POST")
            urllib.request.urlopen(request).close()


@contextmanager
def orthanc(scratch: Path, files: Sequence[Path]) -> Iterator[str]:
    """Run Orthanc with these DICOM files in it and give the address of its DICOMweb service."""
    with Orthanc(scratch).running() as pacs:
        pacs.store(files)
        yield pacs.dicomweb


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("Orthanc did not start")
