"""The OHIF that is sent: corrected, from this computer only, and not fetched twice."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tumorseg.server import ohif
from tumorseg.server.ohif_corrections import CORRECTIONS, Correction


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    ohif.mount(app)
    return TestClient(app)


def test_every_correction_finds_its_text_in_the_pinned_wheel() -> None:
    assert ohif.missing() == ()


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda correction: correction.old[:24])
def test_no_file_is_sent_uncorrected(client: TestClient, correction: Correction) -> None:
    holding = [name for name, path in ohif.files().items() if correction.old.encode() in path.read_bytes()]
    assert holding
    for name in holding:
        content = client.get(f"/ohif/{name}").content
        assert correction.old.encode() not in content
        assert correction.new.encode() in content


def test_the_page_and_its_styles_load_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/ohif/")
    assert "http://" not in page.text + client.get("/ohif/app.bundle.css").text.replace("http://www.w3.org/", "")
    assert "https://fonts" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    scripts = re.findall(r'src="([^"]+\.js)"', page.text)
    assert scripts
    assert all(client.get(script).headers["content-type"].startswith(("text/javascript", "application/javascript"))
               for script in scripts)  # fmt: skip


def test_a_file_that_the_browser_has_is_not_sent_again(client: TestClient) -> None:
    for name in ("", "app-config.js", next(name for name in ohif.files() if name.startswith("app.bundle."))):
        first = client.get(f"/ohif/{name}")
        again = client.get(f"/ohif/{name}", headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_another_wheel_is_sent_as_it_is_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ohif.missing.cache_clear()
    ohif.corrected.cache_clear()
    monkeypatch.setattr(ohif, "CORRECTIONS", (Correction("index.html", "<no such text>", ""),))
    try:
        assert ohif.missing() == ("<no such text>",)
        assert ohif.corrected("index.html") is None
        assert "not corrected" in caplog.text
    finally:
        ohif.missing.cache_clear()
        ohif.corrected.cache_clear()
