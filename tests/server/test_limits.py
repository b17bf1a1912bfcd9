"""Bodies that are too large, too slow or never end, against a server that listens."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import live
from tumorseg.server.limits import BodyLimit, Limits

Usage = namedtuple("Usage", "total used free")
LIMIT_MB = 4


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def address(scratch: Path) -> Iterator[tuple[str, int]]:
    write_nifti(scratch / "studies" / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    conf = {"max_upload_mb": LIMIT_MB, "upload_timeout_s": 1.5, "prewarm": "no"}
    with live(scratch / "studies", scratch, **conf) as url:
        yield str(urlsplit(url).hostname), int(urlsplit(url).port or 0)


def _say(
    address: tuple[str, int], head: list[str], body: bytes = b"", *, hang_up: bool = False, wait: float = 20.0
) -> str:
    """Send what we like and return the first line of the answer, ``""`` where there is none."""
    with socket.create_connection(address, timeout=wait) as connection:
        lines = "\r\n".join([*head, f"Host: {address[0]}:{address[1]}", "", ""])
        try:
            connection.sendall(lines.encode() + body)
            if hang_up:
                return ""
            return connection.recv(65536).decode("latin-1").partition("\r\n")[0]
        except (ConnectionError, TimeoutError):
            return ""


FORM = 'multipart/form-data; boundary="x"'
PUT_SESSION = ["PUT /session/ HTTP/1.1", f"Content-Type: {FORM}"]
PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.nii.gz"\r\n\r\n'


def _left(scratch: Path) -> list[Path]:
    """What lies in the temporary folder of the server, once it had a moment to tidy up."""
    for _ in range(100):
        left = list((scratch / "cache" / "incoming").glob("*/*"))
        if not left:
            break
        time.sleep(0.05)
    return left


def test_a_declared_size_beyond_the_limit_is_refused_before_anything_is_read(
    address: tuple[str, int], scratch: Path
) -> None:
    assert " 413 " in _say(address, [*PUT_SESSION, f"Content-Length: {(LIMIT_MB << 20) + 1}"])
    assert " 413 " in _say(address, [*PUT_SESSION, f"Content-Length: {10**18}"])
    assert not _left(scratch)


def test_an_undeclared_size_is_counted_as_it_comes(address: tuple[str, int], scratch: Path) -> None:
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    body = b"%x\r\n" % len(PART) + PART + b"\r\n" + piece * (LIMIT_MB * 16 + 1)
    assert " 413 " in _say(address, [*PUT_SESSION, "Transfer-Encoding: chunked"], body)
    assert not _left(scratch)


def test_text_may_be_as_long_as_text_is(address: tuple[str, int]) -> None:
    head = ["POST /activelearning/first HTTP/1.1", "Content-Type: application/json"]
    assert " 413 " in _say(address, [*head, f"Content-Length: {2 << 20}"])
    assert " 413 " in _say(address, ["POST /infer/threshold HTTP/1.1", f"Content-Length: {2 << 20}"])


def test_a_body_longer_than_declared_is_not_the_next_request(address: tuple[str, int], scratch: Path) -> None:
    answer = _say(address, [*PUT_SESSION, "Content-Length: 10", "Connection: close"], PART + bytes(1000))
    assert " 400 " in answer
    assert not _left(scratch)


def test_two_lengths_are_refused(address: tuple[str, int]) -> None:
    """Request smuggling: what stands before this server may believe the other one."""
    assert " 400 " in _say(address, [*PUT_SESSION, "Content-Length: 10", "Content-Length: 20"], bytes(20))


def test_a_client_that_hangs_up_leaves_nothing_behind(address: tuple[str, int], scratch: Path) -> None:
    assert not _say(address, [*PUT_SESSION, f"Content-Length: {2 << 20}"], PART + bytes(1 << 20), hang_up=True)
    assert not _left(scratch)
    assert not list((scratch / "cache" / "sessions").glob("*"))


def test_a_client_that_stops_sending_is_given_up(address: tuple[str, int], scratch: Path) -> None:
    begin = time.monotonic()
    assert " 408 " in _say(address, [*PUT_SESSION, f"Content-Length: {2 << 20}"], PART + bytes(1000))
    assert time.monotonic() - begin > 1.4
    assert not _left(scratch)


def test_a_drop_now_and_then_is_given_up_too(address: tuple[str, int], scratch: Path) -> None:
    """Slowloris: a byte shortly before every deadline."""
    with socket.create_connection(address, timeout=20) as connection:
        head = "\r\n".join([*PUT_SESSION, f"Host: {address[0]}:{address[1]}", "Content-Length: 100000", "", ""])
        connection.sendall(head.encode() + PART)
        for _ in range(60):
            time.sleep(0.25)
            try:
                connection.sendall(b"x")
                connection.settimeout(0.01)
                answer = connection.recv(100)
            except TimeoutError:
                continue
            except ConnectionError:
                answer = b""
            break
        assert answer.startswith(b"HTTP/1.1 408") or not answer
    assert not _left(scratch)


@pytest.mark.parametrize(
    "head", ["GET /" + "a" * 2_000_000 + " HTTP/1.1", "GET / HTTP/1.1\r\nX-Long: " + "a" * 2_000_000]
)
def test_long_headers_are_refused(head: str, address: tuple[str, int]) -> None:
    assert _say(address, [head])[:12] in ("HTTP/1.1 400", "HTTP/1.1 431", "")
    assert " 200 " in _say(address, ["GET /info/ HTTP/1.1"])


async def _drive(limits: Limits, pieces: list[bytes], headers: dict[str, str]) -> list[dict[str, Any]]:
    """Send pieces through the middleware to an application that reads all of them, and return what was sent back."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect" or not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = {"type": "http", "headers": [(key.encode(), value.encode()) for key, value in headers.items()]}
    gate = BodyLimit(app, limits)
    await gate(scope, receive, send)  # type: ignore[arg-type]
    assert gate.arriving == 0
    return sent


def test_a_full_disk_is_said_before_and_while_it_fills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits, kind = Limits(tmp_path), {"content-type": FORM}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, (300 << 20)))
    declared = asyncio.run(_drive(limits, [], {**kind, "content-length": str(500 << 20)}))
    assert declared[0]["status"] == 507
    assert json.loads(declared[1]["body"])["detail"].startswith("the server's disk is full")
    assert asyncio.run(_drive(limits, [bytes(1 << 20)] * 40, kind))[0]["status"] == 200
    free = iter([1 << 40, 1 << 20])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, next(free)))
    assert asyncio.run(_drive(limits, [bytes(1 << 20)] * 80, kind))[0]["status"] == 507


def test_more_uploads_at_once_than_there_are_places(tmp_path: Path) -> None:
    full = asyncio.run(_drive(replace(Limits(tmp_path), uploads=0), [bytes(2 << 20)], {"content-type": FORM}))
    assert full[0]["status"] == 503
    assert (b"retry-after", b"5") in full[0]["headers"]
    small = asyncio.run(_drive(replace(Limits(tmp_path), uploads=0), [bytes(1000)], {"content-type": FORM}))
    assert small[0]["status"] == 200
