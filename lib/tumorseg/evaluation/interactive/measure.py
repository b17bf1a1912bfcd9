"""A method that answers clicks, clicked by the simulated person. The truth is seen by that person only.

What is measured is what serves: the same session that a viewer's clicks go through, on the image's own grid.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.evaluation.interactive.elsewhere import harm_elsewhere, lesions_of
from tumorseg.evaluation.interactive.results import ClickReport, PatientClicks, Step
from tumorseg.interactive.prompts import Click, Scribble
from tumorseg.interactive.robot import next_click, stroke
from tumorseg.interactive.session import PromptSession
from tumorseg.metrics.overlap import dice
from tumorseg.metrics.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.base import Encoded, Interactive
    from tumorseg.io.kaggle_3m import Case

    Mask = NDArray[np.bool_]

#: Clicks after which the person gives up, as everywhere NoC is reported.
CLICKS = 20
STARTS = ("auto", "nothing")
SEED = 20190218

#: Called with a case and its row: after each click with the row so far, and None for a patient who is left out.
Watch = Callable[["Case", PatientClicks | None], None]


def evaluate_clicks(
    model: Interactive,
    cases: Iterable[Case],
    *,
    start: str = "auto",
    clicks: int = CLICKS,
    noisy: int = 0,
    watch: Watch | None = None,
) -> ClickReport:
    """Click every patient.

    Args:
        model: what answers. One that takes no clicks, but scribbles, gets a dab of a brush at the same place.
        cases: read one after the other; those without truth or without tumour are counted and passed over.
        start: ``auto`` begins with the model's proposal (with nothing where it has none), ``nothing`` with nothing.
        clicks: after so many the person gives up; who finds no error left stops earlier.
        noisy: pixels by which the hand misses at most; drawn anew for each patient, always the same.
        watch: hears of every click.

    Raises:
        InputError: an unknown start, no click at all, a model that takes neither, or no patient with a tumour.
    """
    if start not in STARTS or clicks < 1:
        raise InputError(f"expected a start of {', '.join(STARTS)} and at least 1 click, got {start!r} and {clicks}")
    if not {Click, Scribble} & set(model.kinds):
        raise InputError(f"{model.name} takes neither clicks nor scribbles: nothing can be measured with them")
    rows: list[PatientClicks] = []
    without_tumour = without_truth = 0
    for case in cases:
        row = None
        if case.truth is None:
            without_truth += 1
        elif not case.truth.voxels.any():
            without_tumour += 1
        else:
            row = click_through(model, case, start=start, clicks=clicks, noisy=noisy, watch=watch)
            rows.append(row)
        if watch is not None and row is None:
            watch(case, None)
    if not rows:
        raise InputError(
            f"expected at least one patient with a tumour, got {without_tumour} without and {without_truth} unannotated"
        )
    return ClickReport(model.name, model.version, start, clicks, noisy, tuple(rows), without_tumour, without_truth)


def click_through(
    model: Interactive,
    case: Case,
    *,
    start: str = "auto",
    clicks: int = CLICKS,
    noisy: int = 0,
    watch: Watch | None = None,
) -> PatientClicks:
    """Click one patient who has a tumour, until nothing is wrong or the clicks are used up."""
    if case.truth is None:
        raise InputError(f"expected a mask for {case.id}, got none")
    truth: Mask = case.truth.voxels > 0
    begin = time.perf_counter()
    encoded = model.encode(case.image)
    encode_s = time.perf_counter() - begin
    session = PromptSession(
        model, encoded, start_mask(encoded, start), start, image=case.id, label=next(iter(case.truth.labels), "lesion")
    )
    lesions, rng = lesions_of(truth), np.random.default_rng(SEED)
    steps = [Step(None, dice(Pair(truth, session.mask)))]
    row = PatientClicks(case.id, truth.shape[0], int(truth.sum()), encode_s, tuple(steps))
    for _ in range(clicks):
        click = next_click(session.mask, truth, spacing=case.image.grid.spacing, noisy=noisy, rng=rng)
        if click is None:
            break
        steps.append(_clicked(session, click, truth, lesions))
        row = PatientClicks(row.patient, row.slices, row.truth_voxels, encode_s, tuple(steps))
        if watch is not None:
            watch(case, row)
    return row


def start_mask(encoded: Encoded, start: str) -> Mask:
    """Return ``(K, J, I)`` what the person begins with."""
    if start == "auto" and encoded.proposal is not None:
        return encoded.proposal
    return np.zeros(encoded.shape, bool)


def _clicked(session: PromptSession, click: Click, truth: Mask, lesions: NDArray[np.int32]) -> Step:
    """Click once, and look at what it did."""
    before = session.mask  # stays what it is: a session never writes into a mask it has shown
    prompt = click if Click in session.model.kinds else stroke(click, truth)
    begin = time.perf_counter()
    session.add(prompt)
    seconds = time.perf_counter() - begin
    after = session.mask
    elsewhere, harmed = harm_elsewhere(lesions, before, after, click)
    changed = int(np.count_nonzero(before != after))
    return Step(click, dice(Pair(truth, after)), seconds, changed, elsewhere, harmed)
