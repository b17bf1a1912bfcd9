"""The application that ``tumorseg serve`` runs.

Concurrency: every route that reads a file or talks to a PACS is a plain function, which the framework runs in its
thread pool; the event loop only ever passes bytes. An inference waits in a queue of its own and holds none of these
threads (:mod:`tumorseg.adapters.inference.queue`); ``/info/`` needs none either (:mod:`tumorseg.server.shared`), so
both answer whatever the others do.

Of MONAI Label's own routers none is mounted: importing them costs half a minute on a small machine (they import
all of MONAI), and each runs its work in the event loop. The addresses and answers are MONAI Label's. What it offers
beyond and is not safe to offer (reload, deletion of images, paths as images) does not exist here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI

from tumorseg import __version__
from tumorseg.access.gate import Access
from tumorseg.adapters.learning.summary import Summary
from tumorseg.adapters.weights_change import WeightsDesk
from tumorseg.adapters.workplace import Workplace
from tumorseg.audit.database import folder_in
from tumorseg.audit.log import AuditLog
from tumorseg.errors import TumorSegError
from tumorseg.server import (
    auth,
    datastore,
    detections,
    errors,
    infer,
    interactive,
    labels,
    learning,
    ohif,
    pages,
    progress,
    review,
    session,
    signin,
    training,
    watch,
    weights,
)
from tumorseg.server.audit import intend
from tumorseg.server.headers import SecurityHeaders
from tumorseg.server.limits import BodyLimit, Limits
from tumorseg.server.observe import Observe
from tumorseg.server.origin import SameOrigin, own_names
from tumorseg.server.rules import enforced
from tumorseg.server.scratch import Scratch
from tumorseg.server.session_store import Room, SessionStore
from tumorseg.server.shared import Shared
from tumorseg.server.who import WhoAsks

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

logger = logging.getLogger(__name__)


def create_app(config: AppConfig, *, exposed: bool = False) -> FastAPI:
    """Build the application of one server.

    Args:
        config: what is served, and how.
        exposed: whether others than this computer can reach it: then everybody has to sign in.

    Raises:
        InputError: the studies cannot be used.
    """
    workplace = Workplace.open(config)
    app = FastAPI(
        title="tumorseg",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        openapi_url=None,
        dependencies=[Depends(enforced), Depends(intend)],
    )
    app.state.workplace = workplace
    app.state.access = Access(config, exposed=exposed)
    app.state.audit = AuditLog(folder_in(config.state), dicom=workplace.source.is_dicom)
    app.state.scratch = Scratch(config.cache / "incoming")
    app.state.sessions = SessionStore(
        config.cache / "sessions", Room(config.max_sessions, config.max_sessions_mb << 20)
    )
    app.state.weights = WeightsDesk(workplace.engine)
    app.state.summary = Summary(workplace)
    app.state.info = Shared(partial(infer.describe, workplace))
    errors.install(app)
    watch.install(app)
    _guard(app, exposed)
    auth.install(app)
    for router in (
        signin.router,
        infer.router,
        interactive.router,
        detections.router,
        datastore.router,
        labels.router,
        learning.router,
        training.router,
        session.router,
        weights.router,
        pages.router,
        progress.router,
        review.router,
    ):
        app.include_router(router)
    if workplace.source.is_dicom:
        _mount_dicomweb(app, workplace)
    ohif.mount(app)
    return app


def _guard(app: FastAPI, exposed: bool) -> None:
    """Put what every request passes around the routes.

    The last one added is the first one passed. From the outside in: request id, log and metrics; address and origin,
    security headers; size of the body; who asks. All are plain ASGI, so that a client that hangs up is noticed.
    """
    config, access = app.state.workplace.config, app.state.access
    app.add_middleware(errors.Unexpected)
    app.add_middleware(WhoAsks, access=access)
    app.add_middleware(BodyLimit, limits=Limits.of(config))
    names = own_names(config.host, config.allowed_hosts)
    https_only = exposed and bool(config.behind_proxy) and not config.insecure_http
    app.add_middleware(SameOrigin, names=names, is_open=lambda: not access.required, https_only=https_only)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observe, listeners=watch.listeners(app))


def _mount_dicomweb(app: FastAPI, workplace: Workplace) -> None:
    """Serve the store to OHIF at the addresses that its configuration names."""
    from tumorseg.adapters.dicom_source import DicomSource
    from tumorseg.server.dicomweb import router

    assert isinstance(workplace.source, DicomSource)
    config = workplace.config
    routes = router(workplace.source.store, max_upload_mb=config.max_upload_mb, max_decoded_mb=config.max_decoded_mb)
    app.include_router(routes, prefix="/proxy")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Warm up behind the first requests, and close the studies at the end."""
    workplace: Workplace = app.state.workplace
    if workplace.config.prewarm:
        threading.Thread(target=_warm_up, args=(workplace,), name="warm-up", daemon=True).start()
    workplace.engine.start()
    workplace.learning.start()
    app.state.sessions.start()
    try:
        yield
    finally:
        workplace.close()
        app.state.sessions.stop()
        app.state.scratch.close()
        watch.close(app)


def _warm_up(workplace: Workplace) -> None:
    """Load the default model and those for clicks; where that fails the first request will say why."""
    try:
        workplace.engine.warm_up()
        workplace.interactive.warm_up()
    except TumorSegError as error:
        logger.warning("the default model is not ready: %s", error)
    except Exception:
        logger.exception("warming up failed")
