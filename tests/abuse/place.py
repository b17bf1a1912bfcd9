"""A site with something to lose: studies, a label, people, and a secret beside them that no request may see."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import config_for, in_process

AXIAL = GRIDS["axial"]
#: The name of a patient whom somebody registered with more than a name.
MARKUP = "<script>alert(1)</script>^\"'><img src=x>"


@dataclass(frozen=True)
class Site:
    """A server's folders, and a client on it.

    Attributes:
        root: everything lies below.
        client: asks the application in this process.
        secret: stands in a file beside the studies; an answer that holds it is a leak.
    """

    root: Path
    client: TestClient
    secret: str

    def written(self) -> dict[str, bytes]:
        """Every file outside what a server may write, and of that the labels and studies."""
        free = [self.root / "cache", self.root / "state"]
        files = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if not any(path.is_relative_to(one) for one in free)}

    def temporary(self) -> list[Path]:
        """What requests left behind."""
        return [*(self.root / "cache" / "incoming").glob("*/*"), *(self.root / "cache" / "sessions").glob("*")]


def _secret(root: Path) -> str:
    secret = f"secret-{secrets.token_hex(8)}"
    for name in ("secret.txt", "secret.nii.gz", "secret.dcm"):
        (root / name).write_text(secret)
    return secret


@contextmanager
def file_site(root: Path, **conf: object) -> Iterator[Site]:
    """A server of files."""
    write_nifti(root / "studies" / "case.nii.gz", AXIAL, sample(AXIAL))
    secret = _secret(root)
    with in_process(config_for(root / "studies", root, labels=root / "labels", **conf)) as client:
        yield Site(root, client, secret)


@contextmanager
def dicom_site(root: Path, **conf: object) -> Iterator[Site]:
    """A server of DICOM, one study of which is of a patient with a hostile name."""
    write_dicom_series(
        root / "studies", AXIAL, sample(AXIAL), SeriesDescription="FLAIR", PatientName=MARKUP, PatientID="<b>1"
    )
    secret = _secret(root)
    with in_process(config_for(root / "studies", root, labels=root / "labels", **conf)) as client:
        yield Site(root, client, secret)


def routes_of(client: TestClient) -> list[tuple[str, str]]:
    """List (method, address) of everything that is described."""
    described = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in described.items() for method in methods]


def raw(address: str, request: bytes, wait: float = 10.0) -> bytes:
    """Send bytes to a server as they are and return everything that comes back until it is quiet or closed."""
    parts = urlsplit(address)
    answer = b""
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=wait) as connection:
        try:
            connection.sendall(request)
            while piece := connection.recv(65536):
                answer += piece
                connection.settimeout(0.5)
        except OSError:  # quiet, or closed by the server
            pass
    return answer
