"""Numbers about learning for Prometheus: what is on its way, how the last training ended, how much is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from tumorseg.adapters.learning.desk import LearningDesk


def learning_numbers(desk: LearningDesk) -> Iterator[Metric]:
    """Ask a server's learning desk; models are few, so each has lines of its own."""
    yield _jobs(desk)
    dice = GaugeMetricFamily("tumorseg_training_dice", "Best validation Dice of the last training.", labels=["model"])
    failed = GaugeMetricFamily("tumorseg_training_failed", "1 where the last training failed.", labels=["model"])
    for model, said in desk.stats().items():
        dice.add_metric([model], said["best_metric"])
        failed.add_metric([model], float(said["status"] == "ERROR"))
    yield from (dice, failed)
    new = GaugeMetricFamily("tumorseg_new_labels", "Labels that no training was asked for yet.", labels=["model"])
    for model, count in desk.new_labels().items():
        new.add_metric([model], count)
    yield new
    versions = GaugeMetricFamily("tumorseg_versions", "Versions of a model by status.", labels=["model", "status"])
    for model, known in desk.versions().items():
        for status in ("published", "refused"):
            versions.add_metric([model, status], known[status])
    yield versions


def _jobs(desk: LearningDesk) -> Metric:
    counts = Counter((job.kind, state.status) for job, state in desk.jobs.all())
    metric = GaugeMetricFamily("tumorseg_jobs", "Trainings and scorings on their way.", labels=["kind", "status"])
    for kind in ("train", "score"):
        for status in ("SUBMITTED", "RUNNING"):
            metric.add_metric([kind, status], counts[kind, status])
    return metric
