"""The review page in a real browser, under the policy that our pages have: no script between the lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import live, token_of, tumour_mask
from tumorseg.access.types import Role
from tumorseg.io.write import nifti_bytes
from tumorseg.types import Segmentation

GRID = GRIDS["axial"]
PASSWORD = "correct horse battery staple"
#: What an author may be called and what a page must not run.
SCRIPT = "<img src=x onerror=document.title='broken'>"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A live server with two cases, its people and their tokens."""
    for name in ("case1", "case2"):
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRID, sample(GRID))
    people = {"ann": Role.ANNOTATOR, "bob": Role.ANNOTATOR, "rita": Role.REVIEWER}
    tokens = {name: token_of(tmp_path / "state", name, role, PASSWORD) for name, role in people.items()}
    # What is asked until it starts is answered 401: that is an answer.
    with live(tmp_path / "studies", tmp_path, labels=tmp_path / "labels") as address:
        yield address, tokens


def save(server: tuple[str, dict[str, str]], who: str, shift: int) -> None:
    address, tokens = server
    mask = np.roll(tumour_mask(GRID), shift, axis=2).astype(np.uint8)
    answer = requests.put(
        f"{address}/datastore/label",
        params={"image": "case1"},
        headers={"Authorization": f"Bearer {tokens[who]}", "User-Agent": SCRIPT},
        data={"params": json.dumps({"label_info": [{"name": "tumor", "idx": 1}]})},
        files={"label": ("a.nii.gz", nifti_bytes(Segmentation(mask, GRID, {}), compress=True))},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text


@contextmanager
def signed_in(browser: Any, address: str, who: str) -> Iterator[tuple[Any, list[str]]]:
    """Open the review page as somebody; give the page and what went wrong on it or was asked of others."""
    context = browser.new_context(viewport={"width": 1300, "height": 850})
    page, trouble = context.new_page(), []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: trouble.append(line.text) if "Content Security Policy" in line.text else None)
    page.on("request", lambda sent: None if sent.url.startswith((address, "data:")) else trouble.append(sent.url))
    try:
        page.goto(f"{address}/review")
        page.locator("[name=username]").fill(who)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("form button").last.click()
        page.wait_for_url(f"{address}/review")
        yield page, trouble
    finally:
        context.close()


def test_a_reviewer_looks_rejects_and_approves(
    browser: Any, server: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    save(server, "ann", 0)
    save(server, "bob", 1)
    address, tokens = server
    with signed_in(browser, address, "rita") as (page, trouble):
        page.get_by_role("button", name="case1").click()
        rows = page.locator("#versions tr")
        rows.nth(1).wait_for()
        assert [row.locator("td").nth(1).inner_text() for row in rows.all()] == ["bob", "ann"]
        assert SCRIPT in rows.first.inner_text()  # as text
        drawn = page.locator('#picture[alt*="by bob"]')
        drawn.wait_for()
        assert drawn.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 300
        rows.nth(1).get_by_role("button", name="Show").click()
        page.locator('#picture[alt*="by ann"]').wait_for()
        assert page.title() == "Review · tumorseg"
        assert "tumor" in page.locator("table.dice").inner_text()
        rows.first.get_by_role("button", name="Reject").click()
        page.get_by_text("expected a comment that says why").wait_for()
        page.locator("#comment").fill("one column to the right")
        rows.first.get_by_role("button", name="Reject").click()
        page.get_by_text("Rejected.").wait_for()
        assert "one column to the right" in rows.first.inner_text()
        rows.nth(1).get_by_role("button", name="Restore").click()
        page.get_by_text("Restored as a new version.").wait_for()
        assert rows.count() == 3
        page.get_by_role("button", name="Make consensus").click()
        page.get_by_text("Kept: a consensus.").wait_for()
        rows.first.get_by_role("button", name="Approve").click()
        page.get_by_text("Approved.").wait_for()
        page.screenshot(path=tmp_path / "review.png")
        page.get_by_role("button", name="approved 1").click()
        page.get_by_text("1–1 of 1").wait_for()
        assert trouble == []
    said = requests.get(
        f"{address}/labels/case1", headers={"Authorization": f"Bearer {tokens['rita']}"}, timeout=60
    ).json()
    assert [(version["author"], version["state"]) for version in said["versions"]] == [
        ("consensus", "approved"),
        ("rita", "open"),
        ("bob", "rejected"),
        ("ann", "open"),
    ]


def test_an_annotator_says_no_lesion_and_cannot_judge(browser: Any, server: tuple[str, dict[str, str]]) -> None:
    address, _ = server
    with signed_in(browser, address, "ann") as (page, trouble):
        page.get_by_role("button", name="case2").click()
        page.get_by_role("button", name="Take this case").click()
        page.get_by_text("ann works on it").wait_for()
        page.get_by_role("button", name="No lesion").click()
        page.get_by_text("Kept: no lesion.").wait_for()
        assert "no lesion, newest" in page.locator("#versions").inner_text()
        assert page.locator("#lease").inner_text() == ""
        assert page.get_by_role("button", name="Approve", exact=True).count() == 0
        assert page.get_by_role("button", name="Make consensus").count() == 0
        assert trouble == []
