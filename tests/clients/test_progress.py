"""The learning page in a real browser, under the policy that our pages have: no script between the lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.learning_state import ROUNDS, SCRIPT, write_efforts, write_versions
from tests.serving import config_for, here, token_of
from tests.tiny import EXTRA_MODELS, write_mask, write_studies
from tumorseg.access.types import Role
from tumorseg.config import AppConfig
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.types import Provenance

PASSWORD = "correct horse battery staple"
PATIENCE_MS = 60_000
TRAINING_MS = 240_000


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    studies = write_studies(tmp_path / "studies")
    history = LabelHistory(tmp_path / "labels")
    info = {"label_info": [{"name": "tumor", "idx": 1}]}
    for name, one in studies.items():
        history.save(name, "final", write_mask(tmp_path / f"{name}.nii.gz", one), Provenance("ann"), info)
    history.close()
    models = {"models": "tiny", "extra_models": EXTRA_MODELS, "device": "cpu"}
    return config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels", **models)


@contextmanager
def opened(browser: Any, address: str, who: str = "") -> Iterator[tuple[Any, list[str]]]:
    """Open the learning page, as somebody where that is said; give the page and what went wrong on it."""
    context = browser.new_context(viewport={"width": 1200, "height": 1500})
    context.set_default_timeout(PATIENCE_MS)
    page, trouble = context.new_page(), []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: trouble.append(line.text) if line.type == "error" else None)
    page.on("request", lambda sent: None if sent.url.startswith((address, "data:")) else trouble.append(sent.url))
    try:
        page.goto(f"{address}/")
        if who:
            page.locator("[name=username]").fill(who)
            page.locator("[name=password]").fill(PASSWORD)
            page.locator("form button").last.click()
        page.get_by_role("link", name="whether labelling more pays").click()
        page.wait_for_url(f"{address}/learning")
        page.locator("#versions table").wait_for()
        yield page, trouble
    finally:
        context.close()


def test_an_administrator_sees_the_curves_and_serves_an_older_version_again(
    browser: Any, config: AppConfig, tmp_path: Path
) -> None:
    cards = write_versions(config.state, tmp_path / "made")
    write_efforts(tmp_path / "labels", cards)
    with here(config) as (_, address), opened(browser, address) as (page, trouble):
        page.locator("#charts figure").nth(4).wait_for()
        curve, agree = page.locator("#charts svg").nth(0), page.locator("#charts svg").nth(1)
        assert curve.locator("circle").count() == len(ROUNDS)
        assert curve.locator("circle.refused").count() == 1
        assert agree.locator("circle").count() == 5
        assert agree.locator("line.bar").count() == 5
        heights = [float(dot.get_attribute("cy")) for dot in agree.locator("circle").all()]
        assert heights == sorted(heights, reverse=True)  # better is higher
        assert "expected to bring" in page.locator("#outlook").inner_text()
        assert SCRIPT in page.locator("#people").inner_text()  # as text
        rows = page.locator("#versions tbody tr:not(.why)")
        assert rows.count() == len(cards) + 1
        assert rows.nth(0).inner_text().split("\t")[2] == "serves"
        assert rows.nth(3).get_by_role("button").count() == 0  # a refused one cannot serve
        page.screenshot(path=tmp_path / "learning.png", full_page=True)
        rows.nth(1).get_by_role("button", name="Serve this").click()
        page.get_by_text(f"tiny is {cards[-2].id} now.").wait_for()
        page.locator("#versions tr.serves", has_text=cards[-2].id).wait_for()
        assert page.title() == "Learning · tumorseg"
        assert trouble == []


def test_an_annotator_looks_and_has_nothing_to_press(browser: Any, config: AppConfig, tmp_path: Path) -> None:
    cards = write_versions(config.state, tmp_path / "made", ROUNDS[:2])
    write_efforts(tmp_path / "labels", cards)
    token_of(config.state, "ann", Role.ANNOTATOR, PASSWORD)
    with here(config) as (_, address), opened(browser, address, "ann") as (page, trouble):
        assert page.locator("main button").count() == 0
        assert not page.locator("#people-section").is_visible()
        assert "No forecast yet (2 of 5 measurements)" in page.locator("#outlook").inner_text()
        assert "rita" not in page.content()
        assert trouble == []


@pytest.mark.slow
def test_a_reviewer_starts_a_training_and_sees_what_came_of_it(browser: Any, config: AppConfig, tmp_path: Path) -> None:
    token_of(config.state, "rita", Role.REVIEWER, PASSWORD)
    with here(config) as (_, address), opened(browser, address, "rita") as (page, trouble):
        assert page.get_by_role("button", name="Stop").is_disabled()
        page.get_by_role("button", name="Train now").click()
        page.get_by_text("A training was asked for.").wait_for()
        page.locator("#training progress").wait_for()
        assert "asked for by rita" in page.locator("#training").inner_text()
        page.get_by_role("button", name="Stop").click()
        page.locator("#training .STOPPED").wait_for(timeout=TRAINING_MS)
        assert page.locator("#versions tbody tr").count() == 1
        assert trouble == []
