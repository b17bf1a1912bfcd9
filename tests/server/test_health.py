"""Whether the server lives, and whether it can work."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process, token_of
from tumorseg.errors import UnavailableError
from tumorseg.server import health
from tumorseg.server.app import create_app
from tumorseg.server.health import Outcome, Readiness, outcome_of, roomy, writable

CHECKS = {"studies", "labels", "index", "model", "queue", "disk", "audit"}


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    write_nifti(tmp_path / "studies" / "DOE_JANE.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    return tmp_path / "studies"


@pytest.fixture
def client(studies: Path, tmp_path: Path) -> Iterator[TestClient]:
    with in_process(config_for(studies, tmp_path, labels=tmp_path / "labels")) as client:
        yield client


def ask_again(client: TestClient) -> tuple[int, dict[str, str]]:
    """Ask for the readiness as it is now."""
    time.sleep(health.GOOD_FOR_S)
    answer = client.get("/readyz")
    return answer.status_code, answer.json()["checks"]


def test_a_healthy_server_says_so(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": dict.fromkeys(answer.json()["checks"], "ok")}
    assert set(answer.json()["checks"]) == CHECKS


def test_studies_that_are_gone_make_it_unready_until_they_are_back(
    client: TestClient, studies: Path, tmp_path: Path
) -> None:
    studies.rename(tmp_path / "elsewhere")
    status, checks = ask_again(client)
    assert (status, checks["studies"].startswith("failed: ")) == (503, True)
    assert client.get("/healthz").status_code == 200
    (tmp_path / "elsewhere").rename(studies)
    assert ask_again(client)[0] == 200


def test_a_queue_that_closes_takes_it_out_of_rotation(client: TestClient) -> None:
    client.app.state.workplace.engine.queue.begin_closing()  # type: ignore[attr-defined]
    status, checks = ask_again(client)
    assert (status, checks["queue"]) == (503, "failed: the server is stopping")
    assert client.get("/healthz").status_code == 200


def test_a_full_disk_makes_it_unready(studies: Path, tmp_path: Path) -> None:
    free_mb = shutil.disk_usage(tmp_path).free >> 20
    with in_process(config_for(studies, tmp_path, min_free_mb=free_mb * 10)) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "MB of free disk" in answer.json()["checks"]["disk"]


def test_a_model_that_cannot_be_loaded_makes_it_unready(studies: Path, tmp_path: Path) -> None:
    (tmp_path / "studies" / "x").mkdir()
    broken = "broken=tests.support:build_that_does_not_exist"
    with in_process(config_for(studies, tmp_path, models="broken", extra_models=broken)) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["model"].startswith("failed")


def test_an_audit_log_that_cannot_be_written_makes_it_unready(studies: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "audit").write_text("a file where the folder should be")
    with in_process(config_for(studies, tmp_path)) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["audit"].startswith("failed: the audit log cannot be written")


def test_strangers_learn_which_part_and_not_what(studies: Path, tmp_path: Path) -> None:
    token = token_of(tmp_path / "state")
    with in_process(config_for(studies, tmp_path)) as client:
        studies.rename(tmp_path / "elsewhere")
        strangers = client.get("/readyz")
        known = client.get("/readyz", headers={"Authorization": f"Bearer {token}"})
    assert strangers.status_code == 503
    assert set(strangers.json()["checks"].values()) == {"ok", "failed"}
    assert known.json()["checks"]["studies"].startswith("failed: ")
    assert str(tmp_path) not in known.text


def test_it_lives_while_every_thread_is_busy(client: TestClient) -> None:
    release = threading.Event()

    @client.app.get("/busy")  # type: ignore[attr-defined]
    @health.rule(None)
    def busy() -> None:
        release.wait(60)

    waiting = [threading.Thread(target=client.get, args=("/busy",)) for _ in range(60)]
    for thread in waiting:
        thread.start()
    try:
        time.sleep(0.5)
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
    finally:
        release.set()
        for thread in waiting:
            thread.join(60)


def test_probes_are_cheap() -> None:
    looks = []
    now = 0.0
    readiness = Readiness({"part": lambda: looks.append(1)}, clock=lambda: now)

    async def probe() -> None:
        nonlocal now
        await asyncio.gather(*(readiness.look() for _ in range(20)))
        assert len(looks) == 1
        now = health.GOOD_FOR_S
        await readiness.look()
        assert len(looks) == 2

    asyncio.run(probe())
    readiness.close()


def test_a_check_that_hangs_is_not_started_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE_S", 0.1)
    monkeypatch.setattr(health, "GOOD_FOR_S", 0.0)
    release = threading.Event()
    started = []

    def hang() -> None:
        started.append(1)
        release.wait(60)

    readiness = Readiness({"hangs": hang, "well": lambda: None})

    async def probe() -> None:
        for _ in range(3):
            found = await readiness.look()
            assert found["well"] == Outcome(True)
            assert found["hangs"].why.startswith("no answer within")
        assert len(started) == 1
        release.set()
        await asyncio.sleep(0.2)
        assert (await readiness.look())["hangs"] == Outcome(True)

    asyncio.run(probe())
    readiness.close()


def test_what_is_not_ours_is_named_by_its_kind_only() -> None:
    def broken() -> None:
        raise ValueError("DOE^JANE")

    assert outcome_of(broken) == Outcome(False, "ValueError")


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writable(tmp_path / "not" / "made" / "yet")
    roomy((tmp_path / "not" / "made" / "yet",), 0)
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="cannot be written"):
        writable(tmp_path / "file")
    with pytest.raises(UnavailableError, match="free disk"):
        roomy((tmp_path,), 1 << 40)


def test_a_remote_archive_that_is_down_makes_it_unready(tmp_path: Path) -> None:
    app = create_app(config_for("http://127.0.0.1:9/dicom-web", tmp_path))
    with TestClient(app) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.json()["checks"]["studies"]
