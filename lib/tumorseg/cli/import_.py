"""``tumorseg import``: somebody's data set in, a folder that the server serves out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.cli.options import Json

if TYPE_CHECKING:
    from tumorseg.adapters.transfer import Transfer

#: Notes of one kind that are written out; the others are counted.
_SHOWN = 5


def import_(
    format: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", show_default=False, help="via, voc, coco, mask_folders, kaggle_3m or nifti_pairs."
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", show_default=False, help="The data set.")],
    target: Annotated[
        Path, typer.Argument(metavar="DEST", show_default=False, help="A new folder, to be served and exported from.")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="The classes there may be, in the order of their values.",
            show_default=False,
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out the pictures with which something is wrong, and list them.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Import nothing when there is anything at all to remark on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count everything, write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import annotated pictures or volumes into a folder that [bold]tumorseg serve[/bold] serves.

    Pictures are copied byte for byte and get label maps that viewers show; outlines, scores and attributes are kept
    beside them, so that [bold]tumorseg export[/bold] gives them back exactly. What is wrong is one error that names the
    file, and then nothing is written.

    [bold]Examples[/bold]

        tumorseg import via brain_tumor/data_cleaned STORE

        tumorseg import mask_folders Dataset_BUSI_with_GT STORE --labels benign,malignant

        tumorseg serve STORE
    """
    from tumorseg.adapters.transfer import VOLUMES, import_pictures
    from tumorseg.errors import InputError

    with progress(f"importing {format}:") as step:

        def tell(done: int, total: int) -> None:
            step(done, total, f"{done} of {total}")

        if format in VOLUMES:
            from tumorseg.adapters.volume_store import import_volumes

            if labels is not None:
                raise InputError(f"--labels names classes of pictures; the masks of {format} have one")
            report = import_volumes(format, source, target, skip_bad=skip_bad, dry_run=dry_run, progress=tell)
        else:
            classes = split_labels(labels)
            options: dict[str, Any] = {"labels": classes, "skip_bad": skip_bad, "strict": strict, "dry_run": dry_run}
            report = import_pictures(format, source, target, **options, progress=tell)
    tell_report(report, "would be imported" if dry_run else "imported", as_json)
    if not dry_run and not as_json:
        note(f"look at it with: tumorseg serve {target}")


def split_labels(text: str | None) -> list[str] | None:
    """Return the names in ``a,b``; None where none were given.

    Raises:
        InputError: an empty name, or one given twice.
    """
    from tumorseg.errors import InputError

    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"expected different names separated by commas, such as benign,malignant, got {text!r}")
    return names


def tell_report(report: Transfer, done: str, as_json: bool) -> None:
    """Say what was transferred, what was left out and what is remarkable."""
    if as_json:
        told = {"target": str(report.target), "images": report.images, "labelled": report.labelled}
        problems = {"left_out": report.left_out, "notes": report.notes}
        listed = {key: [_as_dict(problem) for problem in found] for key, found in problems.items()}
        print_json({**told, "regions": report.regions, "written": report.written, **listed})
        return
    for problem in report.left_out:
        note(f"left out: {problem}")
    for kind in dict.fromkeys(problem.kind for problem in report.notes):
        same = [problem for problem in report.notes if problem.kind == kind]
        for problem in same[:_SHOWN]:
            note(f"note: {problem}")
        if len(same) > _SHOWN:
            note(f"note: {len(same) - _SHOWN} more of the same kind ({kind})")
    counts = ", ".join(f"{count} {label}" for label, count in report.regions.items())
    regions = f" with {counts}" if counts else ""
    typer.echo(f"{report.images} images {done}, {report.labelled} labelled{regions}: {report.target}")


def _as_dict(problem: Any) -> dict[str, str]:
    return {"file": str(problem.file), "kind": problem.kind, "message": problem.message}
