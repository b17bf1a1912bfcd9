"""The process as the product starts it, with the product's own kinds of work."""

from __future__ import annotations

from pathlib import Path

from tests import tiny
from tests.adapters.jobs.bench import wait_for
from tests.serving import config_for
from tumorseg.adapters.jobs.runner import JobRunner
from tumorseg.adapters.jobs.types import ENDED, Job, JobState
from tumorseg.adapters.jobs.worker import HUSHED, KINDS
from tumorseg.registry import resolve


def test_every_kind_has_its_work() -> None:
    for kind in KINDS:
        assert callable(resolve(KINDS, "kind of job", kind))


def test_what_the_servers_log_hushes_a_jobs_log_does_too() -> None:
    """Their messages quote names of patients."""
    from tumorseg.server import logs

    assert set(HUSHED) == set(logs._HUSHED)


def test_a_process_of_the_product_does_its_work_with_a_sites_own_model(tmp_path: Path) -> None:
    """Within the limits of memory that hold by default, into which torch has to fit."""
    tiny.write_studies(tmp_path / "studies", ("a", "b"))
    config = config_for(
        tmp_path / "studies",
        tmp_path,
        models="tiny",
        extra_models=tiny.EXTRA_MODELS,
        labels=tmp_path / "labels",
        device="cpu",
        train_threads=1,
    )
    ended: list[tuple[Job, JobState]] = []
    runner = JobRunner(config, lambda job, state: ended.append((job, state)))
    runner.start()
    try:
        job = runner.submit("score", "tiny", {}, "anna")
        wait_for(lambda: ended, lambda: "\n".join(runner.log(job.id)))
    finally:
        runner.close()
    state = ended[0][1]
    assert state.status in ENDED
    assert state.status == "DONE", "\n".join(runner.log(job.id))
    assert (state.result["images"], state.result["scored"], state.fraction) == (2, 2, 1.0)
    log = "\n".join(runner.log(job.id))
    assert "priority 19 (nice), 1 threads, at most 8192 MB of memory" in log
    assert "Traceback" not in log
