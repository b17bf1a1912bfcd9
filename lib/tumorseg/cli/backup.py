"""``tumorseg backup``: labels in a second place, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.cli.fsck import EXIT_FOUND, Place, print_report
from tumorseg.cli.options import Json


def backup(
    place: Place,
    target: Annotated[Path, typer.Argument(metavar="BACKUP", show_default=False, help="The folder of the backup.")],
    restore: Annotated[bool, typer.Option("--restore", help="Bring back from BACKUP what the labels lack.")] = False,
    as_json: Json = False,
) -> None:
    """Copy all versions of all labels to a second place, or bring them back from there.

    A server may go on running. A second backup to the same folder copies only what is new. Restoring adds what is
    missing and takes nothing away: versions made since the backup stay.

    [bold]Examples[/bold]

        tumorseg backup my_studies /mnt/backup/labels

        tumorseg backup my_studies /mnt/backup/labels --restore
    """
    from tumorseg.adapters.labels import labels_folder
    from tumorseg.labels.backup import back_up, bring_back

    labels = labels_folder(place)
    if restore:
        print_report(bring_back(labels, target), as_json)
        return
    with progress("copying labels:") as step:
        made = back_up(labels, target, lambda done, total: step(done, total, ""))
    for uid in made.damaged:
        note(f"version {uid} has no sound file and is not in the backup: run tumorseg fsck --repair {labels}")
    if as_json:
        print_json({"versions": made.versions, "copied": made.copied, "damaged": list(made.damaged)})
    else:
        typer.echo(f"{made.versions} versions in {target}, {made.copied} label files copied now")
    if made.damaged:
        raise typer.Exit(EXIT_FOUND)
