"""What every request passes first and last."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process
from tumorseg.server import request_id
from tumorseg.server.observe import HUNG_UP, Exchange, Observe
from tumorseg.server.rules import rule


def test_every_answer_has_its_id_also_errors(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:

        @client.app.get("/fails")  # type: ignore[attr-defined]
        @rule(None)
        def fails() -> None:
            raise RuntimeError("nobody foresaw this")

        seen = [client.get(path) for path in ("/info/", "/no/such", "/datastore/image?image=x", "/fails")]
        seen.append(client.get("/info/", headers={"Host": "evil.example"}))
    assert [answer.status_code for answer in seen] == [200, 404, 404, 500, 400]
    ids = [answer.headers["x-request-id"] for answer in seen]
    assert len(set(ids)) == 5
    assert all(re.fullmatch("[0-9a-f]{20}", ident) for ident in ids)


@pytest.mark.parametrize(
    ("incoming", "taken"),
    [
        ("0af7651916cd43dd8448eb211c80319c", True),
        ("proxy-7.request_12", True),
        ("short", False),
        ("x" * 65, False),
        ("-leading-dash", False),
        ("with space and more", False),
        ("line\\nbreak-in-it", False),
        ("", False),
    ],
)
def test_a_proxys_id_is_taken_over_where_it_is_one(incoming: str, taken: bool) -> None:
    assert (request_id.chosen(incoming) == incoming) is taken


def run(app: Callable[..., Any], listeners: list[Callable[[Exchange], None]]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("10.0.0.7", 1)}

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    asyncio.run(Observe(app, listeners)(scope, receive, send))  # type: ignore[arg-type]
    return sent


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    assert request_id.current.get() == scope["state"]["request_id"]
    await send({"type": "http.response.start", "status": 201, "headers": []})
    for piece in (b"abc", b"de"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def hanging_up(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "http.disconnect"


def test_what_came_of_it_is_told() -> None:
    told: list[Exchange] = []
    sent = run(answering, [told.append])
    (exchange,) = told
    assert (exchange.status, exchange.sent, exchange.route, exchange.address) == (201, 5, "(none)", "10.0.0.7")
    assert (b"x-request-id", exchange.id.encode()) in sent[0]["headers"]
    assert request_id.current.get() == ""


def test_a_client_that_hangs_up_is_told_as_such() -> None:
    told: list[Exchange] = []
    run(hanging_up, [told.append])
    assert [exchange.status for exchange in told] == [HUNG_UP]


def test_a_listener_that_fails_breaks_neither_the_answer_nor_the_next_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Exchange] = []

    def fail(exchange: Exchange) -> None:
        raise RuntimeError("broken")

    with caplog.at_level(logging.ERROR):
        sent = run(answering, [fail, told.append])
    assert sent[0]["status"] == 201
    assert len(told) == 1
    assert "could not be kept" in caplog.text


def test_threads_of_a_request_know_its_id(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:

        @client.app.get("/which")  # type: ignore[attr-defined]
        @rule(None)
        def which() -> str:
            return request_id.current.get()  # a plain function: the framework runs it in a thread

        answer = TestClient(client.app, base_url="http://testserver").get("/which")
    assert answer.json() == answer.headers["x-request-id"]
