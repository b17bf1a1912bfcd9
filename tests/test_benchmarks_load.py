"""What the load and the crash test are made of, and that both can fail."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from benchmarks.crash.check import check
from benchmarks.crash.crew import Crew
from benchmarks.crash.job import Job
from benchmarks.load import clients, held, worker
from benchmarks.load.__main__ import last_line
from benchmarks.load.client import Client, Shared
from benchmarks.load.held import Held
from benchmarks.load.label_files import LabelFiles
from benchmarks.load.plan import ANNOTATING, LASTING, Plan
from benchmarks.load.studies import copy_study
from benchmarks.load.tally import Tally, quantile
from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tumorseg.errors import UnavailableError
from tumorseg.geometry import Grid
from tumorseg.io.nrrd_write import nrrd_bytes
from tumorseg.types import Segmentation

GRID = GRIDS["oblique"]


def _answer(grid: Grid = GRID) -> bytes:
    return nrrd_bytes(Segmentation(np.zeros(grid.shape, np.uint8), grid, {"tumor": 1}), compress=False)


def test_label_files_differ_and_lie_where_the_answer_lies(tmp_path: Path) -> None:
    files, seen = LabelFiles.like(_answer()), set()
    (tmp_path / "answer.nrrd").write_bytes(_answer())
    answer = sitk.ReadImage(str(tmp_path / "answer.nrrd"))
    for number in range(200):
        (tmp_path / "label.nrrd").write_bytes(files.make(number))
        label = sitk.ReadImage(str(tmp_path / "label.nrrd"))
        voxels = sitk.GetArrayFromImage(label)
        assert voxels.shape == GRID.shape
        assert 0 < voxels.sum() <= 64
        assert label.GetOrigin() == answer.GetOrigin()
        assert label.GetDirection() == answer.GetDirection()
        seen.add(voxels.tobytes())
    assert len(seen) == 200


def test_copies_of_a_study_are_other_patients_with_the_same_pixels(tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_dicom_series(study / "flair", GRID, sample(GRID), SeriesDescription="FLAIR")
    series = copy_study(study, tmp_path / "copies", 3)
    files = [pydicom.dcmread(path) for path in sorted((tmp_path / "copies").rglob("*.dcm"))]
    original = len(list(study.rglob("*.dcm")))
    assert len(set(series)) == 3
    assert {ds.SeriesInstanceUID for ds in files} == set(series)
    assert len({ds.SOPInstanceUID for ds in files}) == len(files) == 3 * original
    assert len({ds.StudyInstanceUID for ds in files}) == len({ds.PatientID for ds in files}) == 3
    assert all(len(ds.SOPInstanceUID) <= 64 for ds in files)
    assert files[0].PixelData == files[original].PixelData


def test_quantiles_and_what_nobody_answered() -> None:
    assert [quantile(range(1, 101), part) for part in (0.5, 0.95, 1)] == [50, 95, 100]
    assert quantile([], 0.95) == 0
    tally = Tally()
    tally.answered("info", 0.01)
    tally.unanswered("info", 30.0)
    summed = tally.as_json()
    assert summed["errors"] == 1
    assert summed["latency_ms"]["info"]["max"] == 30_000


class _Answers(BaseHTTPRequestHandler):
    """Answers every request with what the path says: ``/503/7`` is 503 with ``Retry-After: 7``."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, status, *wait = self.path.partition("?")[0].split("/")
        self.send_response(int(status))
        self.send_header("Content-Length", "4")
        if wait and wait[0]:
            self.send_header("Retry-After", wait[0])
        self.end_headers()
        self.wfile.write(b"body")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "errors", "refused"), [("/200", 0, 0), ("/503/0", 0, 1), ("/503", 1, 0), ("/500", 1, 0), ("/404", 1, 0)]
)
def test_a_refusal_is_none_without_the_time_to_come_back(address: str, path: str, errors: int, refused: int) -> None:
    tally = Tally()

    async def ask() -> None:
        async with aiohttp.ClientSession(address) as http:
            client = Client(http, Shared("m", ("case",), LabelFiles.like(_answer()), b"", tally), Random(1))

            async def info() -> None:
                await client._ask("info", "GET", path)

            client.info = info  # type: ignore[method-assign]
            await client.act("info")

    asyncio.run(ask())
    summed = tally.as_json()
    assert (summed["errors"], summed["refused"], summed["requests"]) == (errors, refused, 1)


def test_a_label_that_nobody_sent_is_an_error(address: str) -> None:
    tally = Tally()

    async def read() -> None:
        async with aiohttp.ClientSession(f"{address}") as http:
            shared = Shared("m", ("case",), LabelFiles.like(_answer()), b"", tally)
            shared.saved["case", "final"] = {"0" * 64, "acknowledged"}
            client = Client(http, shared, Random(1))

            async def body(*args: Any, **kwargs: Any) -> bytes:
                async with http.get("/200") as answer:
                    return await answer.read()

            client._ask = body  # type: ignore[method-assign]
            await client.act("read_label")

    asyncio.run(read())
    assert tally.errors == {"read_label": 1}


def test_every_action_of_a_mix_exists() -> None:
    for mix in (ANNOTATING, LASTING):
        assert sum(mix.values()) == 100
        assert all(callable(getattr(Client, name)) for name in mix)


def test_a_plan_travels_whole_and_clients_that_cannot_start_are_said() -> None:
    plan = Plan("http://127.0.0.1:9", "m", ("a", "b"), 2, ANNOTATING, 1.0, requests=5, seed=3)
    assert Plan.from_json(plan.to_json()) == plan
    assert worker.plan_seed(plan, 0) != worker.plan_seed(plan, 1)
    with pytest.raises(UnavailableError, match="without a result"):
        clients.run_clients(plan, lambda took, done: None)


def test_growth_is_found_and_its_absence_too() -> None:
    flat = [Held(n * 500, 200.0 + n % 2, 10, 9, 0, 4.0) for n in range(14)]
    assert held.excess(held.growth(flat)) == []
    leaking = [Held(n * 500, 200.0 + n, 10 + 2 * n, 9, n, 4.0) for n in range(14)]
    said = held.excess(held.growth(leaking))
    assert [line.split()[0] for line in said] == ["memory_mb", "files", "temporary"]
    assert held.growth(leaking)["memory_mb"] == pytest.approx(20, abs=0.1)


def test_the_last_line_has_no_number_where_stock_was_not_measured() -> None:
    ours = {"requests": 10, "errors": 0, "refused": 2, "latency_ms": {"info": {"p95": 7.5}}}
    left = {"requests": 5, "errors": 1, "refused": 0}
    line = last_line({"ours": ours, "stock": {"absent": "no uv"}, "lasting": left})
    assert list(line) == ["requests", "errors", "refused", "info_p95_ms", "stock_info_p95_ms"]
    assert line == {"requests": 15, "errors": 1, "refused": 2, "info_p95_ms": 7.5, "stock_info_p95_ms": None}
    assert json.loads(json.dumps(line)) == line


def test_no_acknowledged_label_is_lost_when_writers_are_killed(tmp_path: Path) -> None:
    crew = Crew(tmp_path / "labels", images=3)
    crew.save_all(range(40), 3, seed=1, step=lambda: None)
    found = check(tmp_path / "labels", crew.acknowledged, 3)
    assert sorted(crew.acknowledged) == list(range(40))
    assert crew.kills > 0
    assert (found.lost, found.half_written) == ([], [])


def test_writers_that_acknowledge_too_early_are_found_out(tmp_path: Path) -> None:
    crew = Crew(tmp_path / "labels", images=3, broken=True)
    crew.save_all(range(40), 3, seed=1, step=lambda: None)
    assert check(tmp_path / "labels", crew.acknowledged, 3).lost


def test_a_file_that_was_changed_behind_the_history_is_found(tmp_path: Path) -> None:
    crew = Crew(tmp_path / "labels", images=3)
    crew.save_all(range(6), 1, seed=1, step=lambda: None)
    job = Job(0, 3)
    # The kept file and its copy: of one alone fsck would make the other again.
    for victim in (tmp_path / "labels").rglob("*.nrrd"):
        if victim.read_bytes() == job.content():
            victim.chmod(0o600)
            victim.write_bytes(job.content()[:-10])
    found = check(tmp_path / "labels", crew.acknowledged, 3)
    assert len(found.lost) == 1
    assert found.half_written


def test_every_job_is_another_label_that_itk_reads(tmp_path: Path) -> None:
    digests = set()
    for number in range(8):
        job = Job(number, 2)
        digests.add(job.digest)
        (tmp_path / "label.nrrd").write_bytes(job.content())
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "label.nrrd"))).tobytes() == job.voxels()
    assert len(digests) == 8
