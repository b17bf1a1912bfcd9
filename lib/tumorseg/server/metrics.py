"""``/metrics``: numbers for Prometheus, and the place where they are counted.

What is counted by route goes by the route's template and what is counted by tag is limited in number, so that no
caller can make the list long. What a part of the server knows anyway is asked of it when somebody scrapes.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from tumorseg import __version__
from tumorseg.access.types import Role
from tumorseg.server.observe import Exchange
from tumorseg.server.rules import rule

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tumorseg.adapters.inference.report import JobReport, QueueStats

logger = logging.getLogger(__name__)

_ANSWER_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_INFERENCE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
#: Labels are counted by tag for so many tags; those of the others together.
_TAGS = 20
_OTHER = "(other)"
#: What the queue counts up, and what it has at the moment, by the attributes of its statistics.
_QUEUE_TOTALS = {
    "done": "answered",
    "failed": "that ended in an error",
    "refused": "refused because too many waited",
    "cancelled": "given up because the client was gone",
    "coalesced": "answered by one that was on its way",
    "batched": "answered together with others",
}
_QUEUE_NOW = {"waiting": "that wait", "running": "that run", "capacity": "that may wait"}


class Metrics:
    """The numbers of one server; ``ask`` adds parts of the server that know theirs."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second number for each, of when it began
        self.registry = CollectorRegistry()
        self._parts: list[tuple[str, Callable[[], Iterable[Metric]]]] = []
        by_route = ("method", "route")
        self._requests = Counter(
            "tumorseg_http_requests", "Requests answered.", (*by_route, "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "tumorseg_http_request_seconds",
            "From the first byte asked to the last byte answered.",
            by_route,
            registry=self.registry,
            buckets=_ANSWER_BUCKETS,
        )
        by_model = ("model", "outcome")
        self._waited = Histogram(
            "tumorseg_inference_waited_seconds",
            "How long inferences waited for their turn.",
            by_model,
            registry=self.registry,
            buckets=_INFERENCE_BUCKETS,
        )
        self._ran = Histogram(
            "tumorseg_inference_ran_seconds",
            "How long inferences ran.",
            by_model,
            registry=self.registry,
            buckets=_INFERENCE_BUCKETS,
        )
        self._rungs = Counter(
            "tumorseg_inference_rungs",
            "Which rung of the ladder answered where a GPU has too little memory.",
            ("model", "rung"),
            registry=self.registry,
        )
        build = Info("tumorseg_build", "What runs.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=self.registry)
        self.registry.register(_Parts(self._parts))

    def ask(self, name: str, part: Callable[[], Iterable[Metric]]) -> None:
        """Ask a part of the server for its numbers whenever somebody scrapes; one that fails is left out."""
        self._parts.append((name, part))

    def count_request(self, exchange: Exchange) -> None:
        """Count a request by its route's template."""
        self._requests.labels(exchange.method, exchange.route, str(exchange.status)).inc()
        self._seconds.labels(exchange.method, exchange.route).observe(exchange.seconds)

    def count_job(self, report: JobReport) -> None:
        """Count an inference, as the queue reports it when it ends; one that was refused neither waited nor ran."""
        if report.outcome == "refused":
            return
        self._waited.labels(report.model, report.outcome).observe(report.waited_s)
        self._ran.labels(report.model, report.outcome).observe(report.ran_s)
        self._rungs.labels(report.model, report.rung).inc()


class _Parts:
    """Asks the parts of a server, when scraped."""

    def __init__(self, parts: list[tuple[str, Callable[[], Iterable[Metric]]]]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Yield what each part answers."""
        failed = GaugeMetricFamily("tumorseg_scrape_failed", "1 where a part gave no numbers.", labels=["part"])
        for name, part in self._parts:
            try:
                found = list(part())
            except Exception:  # whatever ails a part, the numbers of the others are what one needs then
                logger.debug("no numbers of %s", name, exc_info=True)
                failed.add_metric([name], 1.0)
                continue
            failed.add_metric([name], 0.0)
            yield from found
        yield failed

    def describe(self) -> list[Metric]:
        """Name nothing beforehand: asking the parts would be work at the start."""
        return []


def queue_numbers(stats: QueueStats) -> Iterator[Metric]:
    """Turn the statistics of the inference queue into metrics."""
    for name, said in _QUEUE_NOW.items():
        yield gauge(f"tumorseg_queue_{name}", f"Inferences {said}.", float(getattr(stats, name)))
    for name, said in _QUEUE_TOTALS.items():
        total = CounterMetricFamily(f"tumorseg_queue_{name}", f"Inferences {said}.")
        total.add_metric([], float(getattr(stats, name)))
        yield total


def label_numbers(counts: dict[str, int]) -> Iterator[Metric]:
    """Turn the number of labels by tag into a metric; tags are made up by callers, so not all of them are named."""
    metric = GaugeMetricFamily("tumorseg_labels", "Labels that are kept, by tag.", labels=["tag"])
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for tag, count in most[:_TAGS]:
        metric.add_metric([tag], count)
    if most[_TAGS:]:
        metric.add_metric([_OTHER], sum(count for _, count in most[_TAGS:]))
    yield metric


def gauge(name: str, said: str, value: float) -> Metric:
    """Return one number."""
    metric = GaugeMetricFamily(name, said)
    metric.add_metric([], value)
    return metric


def mount(app: FastAPI, *, everybody: bool) -> None:
    """Serve ``/metrics``: to who may look at images, or to everybody where a scraper cannot sign in.

    At a server that asks for no sign-in, which only this computer can reach, that is everybody too. A connection
    from this computer is nothing to go by elsewhere: behind a reverse proxy all of them are.
    """
    routes = APIRouter(tags=["administration"])

    @routes.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
    @rule(None if everybody else Role.VIEWER)
    def metrics(request: Request) -> Response:
        """Return all numbers in the format that the scraper asks for."""
        found: Metrics = request.app.state.metrics
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(found.registry), headers={"Content-Type": kind, "Cache-Control": "no-store"})

    app.include_router(routes)
