"""``tumorseg effort``: what the labels cost those who made them, by the version of the model that proposed them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, print_table
from tumorseg.cli.options import Json

if TYPE_CHECKING:
    from tumorseg.labels.efforts import Effort
    from tumorseg.labels.rounds import Round


def effort(
    studies: Annotated[
        str, typer.Argument(metavar="STUDIES", show_default=False, help="The studies that are served, or their labels.")
    ],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every case to a table.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show whether the proposals of newer versions need less correction: time, what was changed, what was accepted.

    A row is all cases without a label that began with the proposals of one version of a model; corrections of labels
    stand in the table of --csv alone. [bold]Dice[/bold] is that of proposal and final label, [bold]changed[/bold] the
    changed voxels as a part of the final ones, [bold]path[/bold] the length of the contours that were drawn anew
    (pixels; Vaassen et al. 2020).

    [bold]Examples[/bold]

        tumorseg effort my_studies

        tumorseg effort my_studies --csv effort.csv
    """
    from tumorseg.labels.rounds import rounds

    efforts = _efforts(studies)
    if csv_file is not None:
        _write(csv_file, efforts)
        note(f"{len(efforts)} labels are in {csv_file}")
    found = rounds(efforts)
    if as_json:
        print_json({"rounds": [_plain(one) for one in found], "cases": [_case(one) for one in efforts]})
    elif found:
        print_table(_table(found))
    else:
        note("no final label was saved over a server yet that keeps what it cost")


def _efforts(studies: str) -> list[Effort]:
    from tumorseg.adapters.labels import labels_folder
    from tumorseg.errors import InputError
    from tumorseg.labels.efforts import Efforts
    from tumorseg.labels.history import LabelHistory

    folder = labels_folder(studies)
    if not folder.exists():
        raise InputError(f"there are no labels in {folder}: name the folder that is served, or that of its labels")
    history = LabelHistory(folder)
    try:
        return Efforts(history.database).list()
    finally:
        history.close()


def _plain(found: Round) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)


def _case(effort: Effort) -> dict[str, Any]:
    """Return an effort as one row of a table."""
    from dataclasses import asdict, fields
    from datetime import UTC, datetime

    from tumorseg.labels.effort import Edit

    said = asdict(effort)
    edit = said.pop("edit") or {column.name: None for column in fields(Edit)}
    said["saved"] = datetime.fromtimestamp(effort.saved, UTC).isoformat(timespec="seconds")
    known = effort.edit
    return {**said, **edit, "share": known and known.share, "unchanged": known and known.unchanged}


def _write(file: Path, efforts: Sequence[Effort]) -> None:
    import csv
    import io

    from tumorseg.io.files import write_atomically
    from tumorseg.labels.efforts import Effort

    text = io.StringIO(newline="")
    columns = list(_case(Effort("", "", "", 0.0)))
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(_case(one) for one in efforts)
    write_atomically(file, text.getvalue().encode())


def _table(found: Sequence[Round]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in ("proposal of", "cases", "minutes", "Dice", "95 %", "changed", "path", "ml", "accepted as it was"):
        table.add_column(column, justify="left" if column == "proposal of" else "right")
    for one in found:
        name = f"{one.model} {one.version}".strip() or "nothing: drawn anew"
        minutes = None if one.seconds is None else one.seconds / 60
        between = "-" if one.low is None else f"{one.low:.3f} … {one.high:.3f}"
        cells = (
            name,
            str(one.cases),
            _cell(minutes, "{:.1f}"),
            _cell(one.dice, "{:.3f}"),
            between,
            _cell(one.share, "{:.0%}"),
            _cell(one.path, "{:.0f}"),
            _cell(one.ml, "{:.2f}"),
            _cell(one.unchanged, "{:.0%}"),
        )
        table.add_row(*map(Text, cells))
    return table


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
