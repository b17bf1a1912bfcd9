"""Connections that say nothing, or half of something, against the protocol that the server runs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tumorseg.server import patience
from tumorseg.server.patience import PatientProtocol


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(patience, "HEADER_S", 0.5)
    server = uvicorn.Server(
        uvicorn.Config(_app, http=PatientProtocol, lifespan="off", log_level="error", timeout_keep_alive=3)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        worker.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        worker.join()


def _closed_after(connection: socket.socket) -> float:
    """Return how long the server kept the connection."""
    begin = time.monotonic()
    connection.settimeout(10)
    while connection.recv(1000):
        pass
    return time.monotonic() - begin


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: a"])
def test_half_a_header_is_given_up(start: bytes, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(start)
        assert 0.2 < _closed_after(connection) < 5


def _drip(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"X: y\r\n")
        time.sleep(0.1)


def test_a_drop_now_and_then_does_not_help(port: int) -> None:
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            _drip(connection)
    assert time.monotonic() - begin < 8


def test_whole_requests_are_answered_on_one_connection_and_then_half_a_one_is_given_up(port: int) -> None:
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(3):
            connection.sendall(whole)
            answer = b""
            while not answer.endswith(b"ok"):
                answer += connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(0.8)  # longer than a header may take: between requests the connection may rest
        connection.sendall(whole[:20])
        assert _closed_after(connection) < 2.5
