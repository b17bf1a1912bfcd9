"""Classifiers of slices, on labelled patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.cli.console import print_json, print_table, progress
from tumorseg.cli.evaluate.choose import choose_patients, warn_of_seen
from tumorseg.cli.evaluate.wanted import Wanted

if TYPE_CHECKING:
    from tumorseg.models.classifier import SliceClassifier


def evaluate_slices(gate: SliceClassifier, wanted: Wanted) -> None:
    """Measure, write what is asked for, and tell."""
    from tumorseg.evaluation.beside import figures_markdown, figures_table
    from tumorseg.evaluation.gate.measure import evaluate_gate
    from tumorseg.evaluation.gate.tables import report_csv, report_json
    from tumorseg.io.datasets import open_dataset
    from tumorseg.io.files import write_atomically

    wanted.refuse("scores slices and marks nothing", "figures", "panels", "predictions", "format", "keep_going")
    chosen = choose_patients(wanted)
    cases = open_dataset(wanted.data, chosen.ids)
    with progress(f"measuring {gate.name}:") as step:
        done = iter(range(1, len(cases) + 1))
        report = evaluate_gate(gate, cases, progress=lambda case, row: step(next(done), len(cases), case.id))
    told = report_json(report, seen_in_training=chosen.seen, subset=wanted.subset_told)
    if wanted.csv is not None:
        write_atomically(wanted.csv, report_csv(report))
    on = f"{len(report.rows)} patients, {report.truth.size} slices"
    if wanted.markdown is not None:
        write_atomically(wanted.markdown, figures_markdown(gate.name, report.figures, on))
    if wanted.report is not None:
        from tumorseg.evaluation.pages.slices import slices_page

        write_atomically(wanted.report, slices_page(report, wanted.subset_name, chosen.seen))
    if wanted.store is not None:
        from tumorseg.evaluation.store import CLASSIFICATION, write_store

        write_store(wanted.store, told, CLASSIFICATION, {"": report_csv(report)})
    warn_of_seen(chosen.seen, "patients")
    if wanted.as_json:
        print_json(told)
        return
    print_table(figures_table(gate.name, report.figures, on, f"{wanted.subset_name} patients of {wanted.data}"))
