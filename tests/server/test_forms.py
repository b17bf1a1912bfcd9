"""Forms with files: read as they are meant, kept for as long as the request and no longer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Form, UploadFile
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, token_of
from tumorseg.access.types import Role
from tumorseg.server import forms
from tumorseg.server.app import create_app
from tumorseg.server.forms import Kept, UploadRoute
from tumorseg.server.rules import rule

seen: list[Path] = []


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """The real application with one more route, which says what it was given."""
    write_nifti(tmp_path / "studies" / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    router = APIRouter(route_class=UploadRoute)

    @router.post("/echo")
    @rule(Role.ADMIN)
    def echo(files: list[UploadFile], said: Annotated[str, Form()] = "") -> list[list[object]]:
        seen.clear()
        for file in files:
            assert isinstance(file.file, Kept)
            assert file.file.path.stat().st_size == file.file.size
            seen.append(file.file.path)
        return [[said], *([file.filename, file.file.read().decode("latin-1")] for file in files)]

    @router.post("/fail")
    @rule(Role.ADMIN)
    def fail(files: list[UploadFile]) -> None:
        seen[:] = [file.file.path for file in files if isinstance(file.file, Kept)]
        raise RuntimeError("a bug")

    app = create_app(config_for(tmp_path / "studies", tmp_path))
    app.include_router(router)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_files_and_fields_arrive_as_they_were_sent(client: TestClient) -> None:
    large = bytes(range(256)) * 10_000
    files = [("files", ("a.bin", large)), ("files", ("äö.txt", b"")), ("files", ("c", b"\r\n--x\r\n"))]
    answer = client.post("/echo", files=files, data={"said": "grüße"})
    assert answer.json() == [["grüße"], ["a.bin", large.decode("latin-1")], ["äö.txt", ""], ["c", "\r\n--x\r\n"]]
    assert seen
    assert not any(path.exists() or path.parent.exists() for path in seen)


def test_files_are_gone_after_an_error_too(client: TestClient) -> None:
    assert client.post("/fail", files=[("files", ("a", b"x" * 100))]).status_code == 500
    assert seen
    assert not any(path.parent.exists() for path in seen)


def test_the_names_of_files_lead_nowhere(client: TestClient, tmp_path: Path) -> None:
    for name in ("../../../evil", "/etc/evil", "..\\evil", "evil\0.nii", "a/b/c"):
        assert client.post("/echo", files=[("files", (name, b"x"))]).status_code == 200
        assert all(path.name.startswith("part-") for path in seen)
    assert not list(tmp_path.rglob("*evil*"))


def test_too_many_parts_and_long_fields_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MAX_FILES", 3)
    files = [("files", (str(number), b"x")) for number in range(4)]
    assert client.post("/echo", files=files[:3]).status_code == 200
    assert client.post("/echo", files=files).status_code == 413
    fields = {f"field{number}": "x" for number in range(forms.MAX_FIELDS + 1)}
    assert client.post("/echo", files=files[:1], data=fields).status_code == 413
    assert client.post("/echo", files=files[:1], data={"said": "x" * (forms.MAX_FIELD + 1)}).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\ncut off',
        b"--x\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--x--\r\n",
        b"--x\r\n" + b"X-Header: 1\r\n" * 1000 + b"\r\n\r\n--x--\r\n",
        b"--x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n\r\n--x--\r\n",
    ],
)
def test_damaged_forms_are_refused(body: bytes, client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/echo", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 400
    assert not list((tmp_path / "cache" / "incoming").glob("*/*"))


def test_a_form_without_a_boundary_is_refused(client: TestClient) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary="):
        assert client.post("/echo", content=b"x", headers={"Content-Type": kind}).status_code == 400


def test_who_may_not_is_told_before_a_byte_is_read(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(tmp_path / "state", "ann", Role.VIEWER)
    read: list[bool] = []
    monkeypatch.setattr(forms._Reader, "read", lambda *args: read.append(True))
    for headers, status in (({"Authorization": f"Bearer {token}"}, 403), ({"Authorization": "Bearer wrong"}, 401)):
        assert client.post("/echo", files=[("files", ("a", b"x"))], headers=headers).status_code == status
    assert not read


def test_many_files_hold_one_open_file_and_no_memory(client: TestClient) -> None:
    """A series of slices: the framework's own reader keeps each in memory or open."""
    opened, most = [0], [0]
    kept = Path.open

    def counted(self: Path, *args: object, **kw: object) -> object:
        file = kept(self, *args, **kw)  # type: ignore[arg-type]
        if self.name.startswith("part-") and args == ("ab",):
            opened[0] += 1
            most[0] = max(most[0], opened[0])
            close = file.close

            def closed() -> None:
                opened[0] -= not file.closed
                close()

            file.close = closed  # type: ignore[method-assign]
        return file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", counted)
        answer = client.post("/echo", files=[("files", (f"{k}.dcm", bytes(200_000))) for k in range(60)])
    assert answer.status_code == 200
    assert len(answer.json()) == 61
    assert most[0] == 1
    assert threading.active_count() < 100
