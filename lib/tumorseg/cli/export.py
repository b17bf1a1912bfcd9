"""``tumorseg export``: what annotators made, in somebody else's format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tumorseg.cli.console import progress
from tumorseg.cli.import_ import tell_report
from tumorseg.cli.options import Json


def export(
    format: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", show_default=False, help="via, voc, coco, mask_folders, kaggle_3m or nifti_pairs."
        ),
    ],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC", show_default=False, help="A folder that tumorseg import made, or any annotated pictures."
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="DEST", show_default=False, help="A new folder.")],
    as_json: Json = False,
) -> None:
    """Export annotated pictures or volumes.

    What nobody changed since the import comes out as it went in. A label that an annotator changed is traced, pixel for
    pixel, and said.

    [bold]Examples[/bold]

        tumorseg export coco STORE coco_out

        tumorseg export coco brain_tumor/data_cleaned coco_out
    """
    from tumorseg.adapters.transfer import export_pictures
    from tumorseg.adapters.volume_export import export_volumes, holds_volumes

    with progress(f"exporting {format}:") as step:
        if holds_volumes(source):
            report = export_volumes(format, source, target, lambda done, total: step(done, total, f"{done} of {total}"))
        else:
            report = export_pictures(format, source, target)
    tell_report(report, f"exported as {format}", as_json)
