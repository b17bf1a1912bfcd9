"""Numbers for Prometheus, read with its own parser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import ask_ohif, config_for, in_process, token_of
from tumorseg.access.types import Role
from tumorseg.server.metrics import label_numbers

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: TestClient) -> Numbers:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (line.name, frozenset(line.labels.items())): line.value
        for family in text_string_to_metric_families(answer.text)
        for line in family.samples
    }


def number(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers[name, frozenset(labels.items())]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels")) as client:
        yield client


def test_requests_are_counted_by_template_and_status(client: TestClient) -> None:
    for model in ("threshold", "threshold", "nobody", "x" * 50):
        client.post(f"/infer/{model}", params={"image": "case1", "output": "image"})
    for path in ("/no/such/address", "/nor/this", "/..;/x"):
        client.get(path)
    client.request("BREW", "/info/")
    numbers = scrape(client)
    assert number(numbers, "tumorseg_http_requests_total", method="POST", route="/infer/{model}", status="200") == 2
    assert number(numbers, "tumorseg_http_requests_total", method="POST", route="/infer/{model}", status="404") == 2
    assert number(numbers, "tumorseg_http_request_seconds_count", method="POST", route="/infer/{model}") == 4
    assert number(numbers, "tumorseg_http_requests_total", method="GET", route="(none)", status="404") == 3
    routes = {dict(labels).get("route", "") for _, labels in numbers}
    assert not [route for route in routes if "such" in route or "xxx" in route]
    assert {dict(labels).get("method", "") for _, labels in numbers} <= {"", "GET", "POST", "other"}


def test_routes_behind_a_prefix_have_their_whole_template(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "studies", GRIDS["axial"], sample(GRIDS["axial"]), SeriesDescription="FLAIR")
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        client.get("/proxy/dicom/wado/studies/1.2.3.4/metadata")
        numbers = scrape(client)
    route = "/proxy/dicom/wado/studies/{study}/metadata"
    assert number(numbers, "tumorseg_http_requests_total", method="GET", route=route, status="404") == 1


def test_inferences_labels_sessions_and_the_process_are_counted(client: TestClient) -> None:
    mask = ask_ohif(client, "case1")
    ask_ohif(client, "case1")
    client.post("/infer/threshold", params={"image": "nobody"})
    label = {"label": ("x.nrrd", mask)}
    client.put("/datastore/label", params={"image": "case1", "tag": "final"}, files=label).raise_for_status()
    image = client.get("/datastore/image", params={"image": "case1"}).content
    client.put("/session/", files={"files": ("a.nii.gz", image)}).raise_for_status()
    numbers = scrape(client)
    assert number(numbers, "tumorseg_inference_ran_seconds_count", model="threshold", outcome="done") == 2
    assert number(numbers, "tumorseg_inference_waited_seconds_count", model="threshold", outcome="done") == 2
    assert number(numbers, "tumorseg_queue_done_total") == 2
    assert number(numbers, "tumorseg_queue_capacity") == 16
    assert number(numbers, "tumorseg_queue_running") == 0
    assert number(numbers, "tumorseg_labels", tag="final") == 1
    assert number(numbers, "tumorseg_sessions") == 1
    assert number(numbers, "tumorseg_cache_bytes", cache="memory_images") > 0
    assert number(numbers, "process_resident_memory_bytes") > 1e7
    assert number(numbers, "process_open_fds") > 0
    assert number(numbers, "tumorseg_audit_lost_total") == 0
    failed = {labels for (name, labels), value in numbers.items() if name == "tumorseg_scrape_failed" and value}
    assert failed == set()


def test_a_part_that_fails_does_not_take_the_others_along(client: TestClient) -> None:
    def fail() -> Iterator[object]:
        raise RuntimeError("broken")

    client.app.state.metrics.ask("broken", fail)  # type: ignore[attr-defined]
    numbers = scrape(client)
    assert number(numbers, "tumorseg_scrape_failed", part="broken") == 1
    assert number(numbers, "tumorseg_sessions") == 0


def test_tags_cannot_make_the_list_long() -> None:
    (metric,) = label_numbers({f"tag{n:03}": n for n in range(100)})
    assert len(metric.samples) == 21
    assert sum(sample.value for sample in metric.samples) == sum(range(100))
    assert next(s.value for s in metric.samples if s.labels["tag"] == "(other)") == sum(range(80))


def test_who_may_read_them(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    token = token_of(tmp_path / "state", "scraper", Role.VIEWER)
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    with in_process(config_for(tmp_path / "studies", tmp_path, metrics_open="yes")) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/info/").status_code == 401


def test_openmetrics_is_spoken_to_who_asks_for_it(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
