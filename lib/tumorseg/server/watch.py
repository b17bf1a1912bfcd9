"""What watches over the server, put together: log, metrics, health, audit log."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from tumorseg.server import audit, health, logs, metrics
from tumorseg.server.learning_metrics import learning_numbers
from tumorseg.server.observe import Exchange, Listener

if TYPE_CHECKING:
    from fastapi import FastAPI
    from prometheus_client.core import Metric

    from tumorseg.adapters.workplace import Workplace
    from tumorseg.server.session_store import SessionStore


def install(app: FastAPI) -> None:
    """Add the parts and their addresses to an application that has its workplace, audit log and sessions."""
    place: Workplace = app.state.workplace
    trail = audit.Trail(app.state.audit, addresses=place.config.audit_addresses)
    numbers = metrics.Metrics()
    numbers.ask("labels", lambda: metrics.label_numbers(place.datastore.labels.history.counts()))
    numbers.ask("sessions", partial(_sessions, app.state.sessions))
    numbers.ask("caches", partial(_caches, place))
    numbers.ask("audit", partial(_audit, trail))
    numbers.ask("interactive", partial(_interactive, place))
    numbers.ask("queue", lambda: metrics.queue_numbers(place.engine.queue.stats()))
    numbers.ask("learning", partial(learning_numbers, place.learning))
    place.engine.queue.observer = numbers.count_job
    app.state.trail = trail
    app.state.metrics = numbers
    app.state.readiness = health.Readiness(health.checks_of(place, app.state.audit))
    app.include_router(health.router)
    app.include_router(audit.router)
    metrics.mount(app, everybody=place.config.metrics_open)


def listeners(app: FastAPI) -> tuple[Listener, ...]:
    """Return who is told what came of a request."""
    trail: audit.Trail = app.state.trail
    numbers: metrics.Metrics = app.state.metrics

    def log(exchange: Exchange) -> None:
        logs.log_request(exchange, trail.image_name(exchange.scope))

    return numbers.count_request, log, trail.keep


def close(app: FastAPI) -> None:
    """Write what waits, and let go."""
    app.state.trail.close()
    app.state.readiness.close()


def _sessions(store: SessionStore) -> Iterator[Metric]:
    yield metrics.gauge("tumorseg_sessions", "Sessions that are open.", store.count())


def _interactive(place: Workplace) -> Iterator[Metric]:
    masks = len(place.interactive.entries)
    yield metrics.gauge("tumorseg_interactive_masks", "Masks that people are making with clicks.", masks)


def _caches(place: Workplace) -> Iterator[Metric]:
    size = GaugeMetricFamily("tumorseg_cache_bytes", "What the caches hold.", labels=["cache"])
    size.add_metric(["memory_images"], place.engine.cached_bytes())
    size.add_metric(["interactive"], place.interactive.nbytes())
    for name, held in place.source.cached_bytes().items():
        size.add_metric([name], held)
    yield size


def _audit(trail: audit.Trail) -> Iterator[Metric]:
    lost = CounterMetricFamily("tumorseg_audit_lost", "Records of looking that could not be kept.")
    lost.add_metric([], trail.buffer.lost)
    yield lost


def hide_names(app: FastAPI) -> None:
    """Take names of images and files out of the log of this process."""
    place: Workplace = app.state.workplace
    trail: audit.Trail = app.state.trail
    logs.hide(logs.HideNames(place.config.studies, place.source.telling_ids, trail.said_name))
