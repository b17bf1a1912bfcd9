"""``tumorseg evaluate``: how good a model is, on labelled patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorseg.cli.console import Step, note, print_json, print_table, progress
from tumorseg.cli.options import Device, Json, Weights
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.evaluation.report import PatientRow
    from tumorseg.io.kaggle_3m import Case
    from tumorseg.types import Segmentation


def evaluate(
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR", show_default=False, help="Labelled patients: kaggle_3m folders or NIfTI images with masks."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", show_default=False, help="A name from tumorseg models; else the best."),
    ] = None,
    subset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only these of the split: validation, test or train.")
    ] = None,
    patients: Annotated[
        list[str] | None, typer.Option("--patient", metavar="ID", help="Only this patient (repeat).")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The split by patient; else the one of the weights, or the shipped one."),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="PATH", help="Write a line for each patient.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the summary as a Markdown table.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a sheet for each patient: found tinted, truth outlined."),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a model on labelled patients, beside what others published.

    Dice is taken over all slices of a patient together; its mean and median come with bootstrap 95 % intervals over
    the patients. A slice without tumour in which anything is marked is a false-positive slice. Patients without any
    tumour are left out of the Dice and said.

    [bold]Examples[/bold]

        tumorseg evaluate --data kaggle_3m --subset validation

        tumorseg evaluate resunet --data kaggle_3m --csv patients.csv --json
    """
    from tumorseg.evaluation.evaluate import evaluate as run
    from tumorseg.evaluation.tables import patient_table, report_csv, report_json, summary_markdown, summary_table
    from tumorseg.io.datasets import open_dataset
    from tumorseg.io.files import check_target, write_atomically
    from tumorseg.io.kaggle_3m import Kaggle3m
    from tumorseg.registry import load_model

    for target in (csv, markdown):
        if target is not None:
            check_target(target)
    if figures is not None and not figures.parent.is_dir():
        raise InputError(f"cannot write {figures}: the folder {figures.parent} does not exist; create it first")
    chosen = _choose(data, subset, patients, split, weights)
    network = load_model(model, weights=weights, device=device)
    cases = open_dataset(data, chosen.patients)
    with progress(f"measuring {network.name}:") as step:
        report = run(network, cases, progress=_watch(step, len(cases), figures, network.name))
    if csv is not None:
        write_atomically(csv, report_csv(report))
    # The published figures are for this data set and say nothing about another.
    paper = "lgg" if isinstance(cases, Kaggle3m) else None
    if markdown is not None:
        write_atomically(markdown, summary_markdown(report, paper))
    if chosen.seen:
        note(f"warning: {chosen.seen} of these patients trained the model, so it looks better than it is; see --subset")
    if as_json:
        print_json(report_json(report, seen_in_training=chosen.seen, subset=subset))
        return
    print_table(patient_table(report), summary_table(report, f"{subset or 'all'} patients of {data}", paper))
    left_out = (report.summary.without_tumour, "without any tumour"), (report.summary.without_truth, "without a mask")
    for count, why in left_out:
        if count:
            note(f"note: {count} patient{'s' * (count > 1)} {why} left out of the Dice")


@dataclass(frozen=True)
class _Chosen:
    patients: tuple[str, ...]
    seen: int


def _choose(
    data: Path, subset: str | None, patients: list[str] | None, split: str | None, weights: Path | None
) -> _Chosen:
    """Find out which patients are measured, and how many of them trained the model."""
    from tumorseg.io.datasets import open_dataset
    from tumorseg.training.splits import load_split

    if subset and patients:
        raise InputError("expected either --subset or --patient, got both")
    beside = weights.parent / "split.json" if weights else None
    frozen = load_split(split or (str(beside) if beside and beside.is_file() else "lgg"))
    there = open_dataset(data, patients).patients
    wanted = set(frozen.subset(subset)) if subset else set(there)
    chosen = tuple(patient for patient in there if patient in wanted)
    if not chosen:
        raise InputError(f"none of the {len(wanted)} {subset} patients is in {data}; it has {len(there)} others")
    if len(chosen) < len(wanted):
        note(f"note: {len(wanted) - len(chosen)} of {len(wanted)} {subset} patients are not in {data}")
    return _Chosen(chosen, len(set(chosen) & set(frozen.train)))


def _watch(
    step: Step, total: int, figures: Path | None, model: str
) -> Callable[[Case, Segmentation | None, PatientRow | None], None]:
    done = 0

    def watch(case: Case, found: Segmentation | None, row: PatientRow | None) -> None:
        nonlocal done
        done += 1
        step(done, total, case.id)
        if figures is not None and found is not None and row is not None:
            _draw(figures, case, found, f"{model}  {case.id}  Dice {row.metrics['dice']:.3f}")

    return watch


def _draw(folder: Path, case: Case, found: Segmentation, caption: str) -> None:
    from tumorseg.io.files import write_atomically
    from tumorseg.io.overlay import overlay_sheet

    folder.mkdir(exist_ok=True)
    sheet = overlay_sheet(found, case.image, caption=caption, truth=case.truth)
    write_atomically(folder / f"{case.id.replace('/', '_')}.png", sheet)
