"""``/train/``, ``/scoring/`` and ``/learning/``: trainings and scores, started, looked at and stopped.

The first two are MONAI Label's and answer its task: ``id``, ``status``, ``request``, ``start_ts``, ``end_ts``,
``details`` (the last lines of the log). What differs:

- A training is asked for while another runs: it waits for its turn, with whatever labels there are then. MONAI Label
  answers 429, unless ``enqueue`` is said. The same one asked for twice waits once.
- ``POST /train/`` without settings trains the default trainer and not all of them one after the other: it is what
  OHIF's "Update Model" sends. With ``{"model": {…}}`` it trains the models that are named.
- ``DELETE`` stops what waits, too.
- While one waits ``check_if_running`` answers with it: Slicer then offers to stop it.
- Below an annotator nobody is told what a job said: its lines name images, and its log is read on the record only.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from tumorseg.access.types import Role
from tumorseg.adapters.jobs.types import ENDED, Job, Kind
from tumorseg.adapters.workplace import Workplace
from tumorseg.server.audit import note
from tumorseg.server.common import Place
from tumorseg.server.errors import without_folders
from tumorseg.server.gone import unless_gone
from tumorseg.server.observe import principal
from tumorseg.server.rules import Caller, rule

router = APIRouter(tags=["learning"])
Said = Annotated[dict[str, Any] | None, Body()]
#: How often a request that waits for the end of a job looks, s.
_LOOK_S = 0.5
#: In the place of ``details`` for who may not read the log; Slicer shows the last of them, so there must be one.
_UNTOLD = "what it said is shown to annotators and above"


@router.get("/train/", summary="What is being trained, or was trained last", response_model=None)
@rule(Role.VIEWER)
def training_status(
    request: Request, place: Place, all: bool = False, check_if_running: bool = False
) -> dict[str, Any] | list[dict[str, Any]]:
    """Describe the training that runs, else the one that waits, else the last one; ``all`` lists them, oldest first.

    404 where there is none, and with ``check_if_running`` where none runs or waits: the panels ask regularly.
    """
    return _status(request, place, "train", all, check_if_running)


@router.post("/train/", summary="Train the default model, or those that have settings", response_model=None)
@rule(Role.REVIEWER, "train.start")
async def train_all(
    request: Request, place: Place, who: Caller, params: Said = None, run_sync: bool = False
) -> dict[str, Any]:
    """Return model -> ``{"result": task, "detail": null}``; empty where this server has no trainer."""
    jobs = await run_in_threadpool(place.learning.train_named, params, who.name)
    note(request, job=", ".join(job.id for job in jobs.values()))
    return {
        name: {"result": await _answer(request, place, job, run_sync), "detail": None} for name, job in jobs.items()
    }


@router.post("/train/{model}", summary="Train one model", response_model=None)
@rule(Role.REVIEWER, "train.start")
async def train(
    request: Request,
    place: Place,
    who: Caller,
    model: str,
    params: Said = None,
    run_sync: bool = False,
) -> dict[str, Any]:
    """Train on all labels that there are when it begins; the result serves if it is not worse than what serves.

    ``params`` are those that ``GET /info/`` lists under ``trainers``; what else a client sends is ignored. With
    ``run_sync`` the answer comes when the training is over. 422 where there is nothing to learn from, with the reason.
    """
    job = await run_in_threadpool(place.learning.train, model, params, who.name)
    note(request, job=job.id)
    return await _answer(request, place, job, run_sync)


@router.delete("/train/", summary="Stop the training that runs, and those that wait")
@rule(Role.REVIEWER, "train.stop")
def stop_training(request: Request, place: Place, who: Caller) -> dict[str, Any]:
    """Describe what was stopped; empty where nothing was to stop. What served goes on serving."""
    return _spoken(place.learning.jobs.stop("train", who.name), request)


@router.delete("/train/{model}", summary="Stop the trainings of one model")
@rule(Role.REVIEWER, "train.stop")
def stop_training_of(request: Request, place: Place, who: Caller, model: str) -> dict[str, Any]:
    """Stop what runs and what waits for this model."""
    return _spoken(place.learning.jobs.stop("train", who.name, model), request)


@router.get("/scoring/", summary="What is being scored, or was scored last", response_model=None)
@rule(Role.VIEWER)
def scoring_status(
    request: Request, place: Place, all: bool = False, check_if_running: bool = False
) -> dict[str, Any] | list[dict[str, Any]]:
    """Describe the scoring that runs, as ``GET /train/`` does the training."""
    return _status(request, place, "score", all, check_if_running)


@router.post("/scoring/", summary="Compute the scores that are missing", response_model=None)
@rule(Role.ANNOTATOR, "scoring.start")
async def score_all(request: Request, place: Place, who: Caller, run_sync: bool = False) -> dict[str, Any]:
    """Start every method of ``scoring`` in ``GET /info/``."""
    methods = place.learning.scoring.describe()
    return {name: {"result": await score(request, place, who, name, run_sync), "detail": None} for name in methods}


@router.post("/scoring/{method}", summary="Compute the scores that are missing", response_model=None)
@rule(Role.ANNOTATOR, "scoring.start")
async def score(request: Request, place: Place, who: Caller, method: str, run_sync: bool = False) -> dict[str, Any]:
    """Ask the model that serves about every image without a label, where it was not asked yet.

    Strategies have that done by themselves: this is for those who want it done before anybody asks.
    """
    job = await run_in_threadpool(place.learning.scoring.start, method, who.name)
    note(request, job=job.id)
    return await _answer(request, place, job, run_sync)


@router.delete("/scoring/", summary="Stop computing scores")
@rule(Role.REVIEWER, "scoring.stop")
def stop_scoring(request: Request, place: Place, who: Caller) -> dict[str, Any]:
    """Stop what runs and what waits; scores that are stored stay, and strategies begin none for ten minutes."""
    return _spoken(place.learning.scoring.stop(who.name), request)


@router.get("/learning/jobs", summary="Every training and scoring, newest first")
@rule(Role.VIEWER)
def jobs(request: Request, place: Place) -> list[dict[str, Any]]:
    """Describe all jobs of the state folder, also those of other servers that share it."""
    return [_spoken(one, request) for one in reversed(place.learning.jobs.tasks())]


@router.get("/learning/jobs/{id}/log", summary="Everything that a job said")
@rule(Role.ANNOTATOR, "job.log")
def job_log(request: Request, place: Place, id: str) -> list[str]:
    """Return the lines of a job's log, oldest first; of one that failed the traceback is at the end."""
    return [without_folders(line, request) for line in place.learning.jobs.log(id)]


def _status(
    request: Request, place: Workplace, kind: Kind, all: bool, only_open: bool
) -> dict[str, Any] | list[dict[str, Any]]:
    """Look for the jobs of a kind as MONAI Label does for its tasks."""
    if all and not only_open:
        tasks = place.learning.jobs.tasks(kind)
        if tasks:
            return [_spoken(one, request) for one in tasks]
    found = place.learning.jobs.current(kind, only_open=only_open)
    if found is None:
        what = {"train": "training", "score": "scoring"}[kind]
        raise HTTPException(404, f"no {what} is running" if only_open else f"there was no {what} yet")
    return _spoken(found, request)


async def _answer(request: Request, place: Workplace, job: Job, run_sync: bool) -> dict[str, Any]:
    """Describe a job that was asked for, at once or when it is over; one goes on whose client hangs up."""
    if run_sync:
        await unless_gone(request, _ended(place, job))
    return _spoken(await run_in_threadpool(place.learning.jobs.task, job), request)


async def _ended(place: Workplace, job: Job) -> None:
    """Wait for the end of a job, holding no thread meanwhile."""
    while (said := await run_in_threadpool(place.learning.jobs.task, job)) and said["status"] not in ENDED:
        await asyncio.sleep(_LOOK_S)


def _spoken(said: dict[str, Any], request: Request) -> dict[str, Any]:
    """Take out of everything that a job said the server's folders, and what is not for who asks."""
    asking = principal(request.scope)
    role = asking.role if asking is not None else Role.VIEWER
    hidden = {"who"} if role < Role.REVIEWER else set()
    if role < Role.ANNOTATOR:
        hidden.add("error")

    def spoken(value: Any) -> Any:
        if isinstance(value, str):
            return without_folders(value, request)
        if isinstance(value, dict):
            return {name: spoken(one) for name, one in value.items() if name not in hidden}
        return [spoken(one) for one in value] if isinstance(value, list) else value

    told: dict[str, Any] = spoken(said)
    return {**told, "details": [_UNTOLD]} if role < Role.ANNOTATOR else told
