"""``tumorseg audit``: who saw and changed what on a server."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from tumorseg.cli.console import note, print_json, print_table
from tumorseg.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Look into, check and export the record of who saw and changed what.")

EXIT_BROKEN = 1
State = Annotated[
    Path | None, typer.Option(metavar="DIR", help="State folder of the server, as its option says.", show_default=False)
]
Since = Annotated[str, typer.Option(metavar="DATE", help="From this date or time on (UTC, 2026-11-21 or with T08:00).")]


@app.command()
def show(
    since: Since = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="Before this date or time.")] = "",
    who: Annotated[str, typer.Option(metavar="NAME", help="Of this person.")] = "",
    image: Annotated[str, typer.Option(metavar="ID", help="About this image, by the id that viewers use.")] = "",
    action: Annotated[str, typer.Option(metavar="WORD", help="Of this action, or all that begin so: label.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 100,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Show records, the newest first."""
    from tumorseg.audit.read import Wanted, moment, records

    found = records(_folder(state), Wanted(who, action, image, moment(since), moment(until), limit=limit))
    if as_json:
        for record in found:
            print_json(record.as_json())
        return
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in ("number", "when (UTC)", "who", "role", "action", "image", "came of it", "from"):
        table.add_column(column, overflow="fold")
    for record in found:
        came = "about to" if record.phase == "intent" else str(record.status or "-")
        cells = (str(record.seq), record.time, record.who, record.role, record.action, record.image, came)
        table.add_row(*map(Text, (*cells, record.address)))
    print_table(table)


@app.command()
def verify(
    expect: Annotated[
        str, typer.Option(metavar="NUMBER:DIGEST", help="What this command printed earlier: must still be there.")
    ] = "",
    state: State = None,
    as_json: Json = False,
) -> None:
    """Check that no record was changed, removed or slipped in; exit code 1 says where the first one was.

    Keep what it prints in another place: only against that it shows that the newest records were not cut off.
    """
    from dataclasses import asdict

    from tumorseg.audit.verify import parse_head
    from tumorseg.audit.verify import verify as check

    verdict = check(_folder(state), parse_head(expect) if expect else None)
    if as_json:
        print_json(asdict(verdict))
    elif verdict.broken is None:
        typer.echo(f"{verdict.records} records, each follows from the one before\n{verdict.last}:{verdict.digest}")
    else:
        typer.echo(f"broken at record {verdict.broken}: {verdict.why}")
    if verdict.broken is not None:
        raise typer.Exit(EXIT_BROKEN)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file: one JSON object a line.")],
    until: Annotated[str, typer.Option(metavar="DATE", help="Records before this date or time.")],
    remove: Annotated[bool, typer.Option("--remove", help="Then take them out of the log.")] = False,
    state: State = None,
) -> None:
    """Write old records to a file, and with --remove take them out of the log: the only way that any leave it."""
    from tumorseg.audit import export as exporting
    from tumorseg.audit.read import moment

    folder = _folder(state)
    count, last = exporting.export(folder, moment(until), file)
    if remove:
        exporting.remove(folder, last, getpass.getuser())
    note(f"{count} records up to number {last} are in {file}" + (" and no longer in the log" if remove else ""))


def _folder(state: Path | None) -> Path:
    from tumorseg.audit.database import folder_in
    from tumorseg.config import state_folder

    return folder_in(state.expanduser().resolve() if state else state_folder())
