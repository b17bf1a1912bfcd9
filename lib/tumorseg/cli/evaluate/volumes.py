"""Models that mark voxels, on labelled patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.cli.console import Step, note, print_json, print_table, progress
from tumorseg.cli.evaluate.choose import choose_patients, warn_of_seen
from tumorseg.cli.evaluate.wanted import Wanted

if TYPE_CHECKING:
    from tumorseg.evaluation.report import PatientRow, Report
    from tumorseg.io.kaggle_3m import Case
    from tumorseg.models.base import Model
    from tumorseg.types import Segmentation


def evaluate_volumes(network: Model, wanted: Wanted) -> None:
    """Measure, write what is asked for, and tell."""
    from tumorseg.evaluation.evaluate import evaluate as run
    from tumorseg.evaluation.tables import patient_table, report_csv, report_json, summary_markdown, summary_table
    from tumorseg.io.datasets import open_dataset
    from tumorseg.io.files import write_atomically
    from tumorseg.io.kaggle_3m import Kaggle3m

    wanted.refuse("marks voxels of patients", "format", "keep_going")
    chosen = choose_patients(wanted)
    cases = open_dataset(wanted.data, chosen.ids)
    watches = _Watches(wanted, network.name)
    with progress(f"measuring {network.name}:") as step:
        report = run(network, cases, progress=_watch(step, len(cases), watches))
    told = report_json(report, seen_in_training=chosen.seen, subset=wanted.subset_told)
    if wanted.csv is not None:
        write_atomically(wanted.csv, report_csv(report))
    # The published figures are for this data set and say nothing about another.
    paper = "lgg" if isinstance(cases, Kaggle3m) else None
    if wanted.markdown is not None:
        write_atomically(wanted.markdown, summary_markdown(report, paper))
    watches.finish(report, chosen.seen, published=paper is not None)
    if wanted.store is not None:
        from tumorseg.evaluation.store import SEGMENTATION, write_store

        write_store(wanted.store, told, SEGMENTATION, {"": report_csv(report)})
    warn_of_seen(chosen.seen, "patients")
    if wanted.as_json:
        print_json(told)
        return
    title = f"{wanted.subset_name} patients of {wanted.data}"
    print_table(patient_table(report), summary_table(report, title, paper))
    left_out = (report.summary.without_tumour, "without any tumour"), (report.summary.without_truth, "without a mask")
    for count, why in left_out:
        if count:
            note(f"note: {count} patient{'s' * (count > 1)} {why} left out of the Dice")


class _Watches:
    """Whoever wants to see each patient's voxels while they are there: sheets, panels, the table of masks, the page."""

    def __init__(self, wanted: Wanted, model: str) -> None:
        from tumorseg.evaluation.pages.volumes import Sheet
        from tumorseg.evaluation.predictions import PredictionTable

        self.wanted, self.model = wanted, model
        self.table = PredictionTable(wanted.predictions) if wanted.predictions is not None else None
        self.sheets: list[Sheet] = []

    def look(self, case: Case, found: Segmentation, row: PatientRow) -> None:
        """Draw and write what is asked for of one patient."""
        from tumorseg.evaluation.pages.panels import five_panels
        from tumorseg.evaluation.pages.volumes import page_sheet
        from tumorseg.io.overlay import overlay_sheet

        caption = f"{self.model}  {case.id}  Dice {row.metrics['dice']:.3f}"
        if self.wanted.figures is not None or self.wanted.report is not None:
            sheet = overlay_sheet(found, case.image, caption=caption, truth=case.truth)
            _write(self.wanted.figures, case, sheet)
            if self.wanted.report is not None:
                self.sheets.append(page_sheet(case.id, sheet))
        if self.wanted.panels is not None and case.truth is not None:
            _write(self.wanted.panels, case, five_panels(case.image, case.truth, found, caption))
        if self.table is not None:
            self.table.add(case, found)

    def finish(self, report: Report, seen: int | None, *, published: bool) -> None:
        """Write what needs all of them."""
        from tumorseg.evaluation.pages.volumes import volumes_page
        from tumorseg.io.files import write_atomically

        if self.table is not None:
            self.table.finish()
        if self.wanted.report is not None:
            page = volumes_page(report, self.sheets, self.wanted.subset_name, seen, published=published)
            write_atomically(self.wanted.report, page)


def _write(folder: Path | None, case: Case, png: bytes) -> None:
    from tumorseg.io.files import write_atomically

    if folder is not None:
        folder.mkdir(exist_ok=True)
        write_atomically(folder / f"{case.id.replace('/', '_')}.png", png)


def _watch(step: Step, total: int, watches: _Watches) -> Callable[[Case, Segmentation | None, PatientRow | None], None]:
    done = 0

    def watch(case: Case, found: Segmentation | None, row: PatientRow | None) -> None:
        nonlocal done
        done += 1
        step(done, total, case.id)
        if found is not None and row is not None:
            watches.look(case, found, row)

    return watch
