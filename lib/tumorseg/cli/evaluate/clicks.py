"""Methods that answer clicks, on labelled patients, clicked by a simulated person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tumorseg.cli.console import Step, note, print_json, print_table, progress
from tumorseg.cli.evaluate.choose import ChosenPatients, choose_patients, warn_of_seen
from tumorseg.cli.evaluate.wanted import Wanted
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.evaluation.interactive.figures import ClickSummary
    from tumorseg.evaluation.interactive.measure import Watch
    from tumorseg.evaluation.interactive.results import ClickReport, PatientClicks
    from tumorseg.interactive.base import Interactive
    from tumorseg.io.kaggle_3m import Case

#: The method that is taken where none is named.
MODEL = "clicks"
#: Patients that are measured where none are named; ``--subset all`` takes everybody.
SUBSET, EVERYBODY = "validation", "all"


def evaluate_clicks(model: Interactive, wanted: Wanted) -> None:
    """Measure, write what is asked for, and tell."""
    from tumorseg.evaluation.interactive.figures import summarise
    from tumorseg.evaluation.interactive.tables import patient_table, report_json, summary_table

    wanted.refuse("answers clicks", "figures", "panels", "predictions", "format", "keep_going")
    wanted, chosen = _chosen(wanted)
    # What is not trained on anybody has seen nobody.
    seen = chosen.seen if model.slow else 0
    report = _measured(model, wanted, chosen.ids)
    summary = summarise(report)
    told = report_json(report, summary, seen_in_training=seen, subset=wanted.subset_told)
    _write(wanted, report, summary, told, seen)
    warn_of_seen(seen, "patients")
    if wanted.as_json:
        print_json(told)
        return
    print_table(
        patient_table(report), summary_table(report, summary, f"{wanted.subset_name} patients of {wanted.data}")
    )
    for count, why in ((report.without_tumour, "without any tumour"), (report.without_truth, "without a mask")):
        if count:
            note(f"note: {count} patient{'s' * (count > 1)} {why} left out")


def _chosen(wanted: Wanted) -> tuple[Wanted, ChosenPatients]:
    """Fill in which patients; those that trained the method would make it look better than it is.

    Raises:
        InputError: none of them is in the data.
    """
    if wanted.subset == EVERYBODY:
        wanted = replace(wanted, subset=None)
    elif not (wanted.subset or wanted.patients):
        wanted = replace(wanted, subset=SUBSET)
        try:
            return wanted, choose_patients(wanted)
        except InputError as error:
            raise InputError(f"{error}: --subset {EVERYBODY} takes everybody") from error
    return wanted, choose_patients(wanted)


def _measured(model: Interactive, wanted: Wanted, patients: tuple[str, ...]) -> ClickReport:
    from tumorseg.evaluation.interactive.measure import CLICKS, evaluate_clicks
    from tumorseg.io.datasets import open_dataset

    cases = open_dataset(wanted.data, patients)
    clicks = wanted.clicks or CLICKS
    with progress(f"clicking {model.name}:") as step:
        return evaluate_clicks(
            model,
            cases,
            start=wanted.start or "auto",
            clicks=clicks,
            noisy=wanted.noisy or 0,
            watch=_watch(step, len(cases), clicks),
        )


def _watch(step: Step, patients: int, clicks: int) -> Watch:
    """Return what moves the bar: by a click of so many for each patient, and on to the next one where they stop."""
    order: list[str] = []

    def watch(case: Case, row: PatientClicks | None) -> None:
        if case.id not in order:
            order.append(case.id)
        made = clicks if row is None else len(row.made)
        step((len(order) - 1) * clicks + made, patients * clicks, case.id)

    return watch


def _write(wanted: Wanted, report: ClickReport, summary: ClickSummary, told: dict[str, object], seen: int) -> None:
    from tumorseg.evaluation.interactive.lines import patients_csv
    from tumorseg.evaluation.interactive.stored import write_clicks
    from tumorseg.evaluation.interactive.tables import summary_markdown
    from tumorseg.evaluation.pages.clicks import clicks_page
    from tumorseg.io.files import write_atomically

    if wanted.csv is not None:
        write_atomically(wanted.csv, patients_csv(report))
    if wanted.markdown is not None:
        write_atomically(wanted.markdown, summary_markdown(report, summary))
    if wanted.report is not None:
        write_atomically(wanted.report, clicks_page(report, summary, wanted.subset_name, seen))
    if wanted.store is not None:
        write_clicks(wanted.store, told, report)
