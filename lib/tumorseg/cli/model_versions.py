"""``tumorseg models versions``, ``show`` and ``rollback``: the versions of a model on a server's state folder."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, print_table
from tumorseg.cli.options import Json
from tumorseg.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from rich.table import Table

    from tumorseg.versions.store import VersionStore
    from tumorseg.versions.types import VersionCard

#: What serves where the pointer is damaged.
_UNKNOWN = "unknown"
_EXPLAINED = {
    "shipped": "what comes with it",
    _UNKNOWN: "current.json is damaged, so nobody knows what",
}

Model = Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help="A name from tumorseg models.")]
State = Annotated[
    Path | None, typer.Option(metavar="DIR", help="State folder of the server, as its option says.", show_default=False)
]


def versions(model: Model, state: State = None, as_json: Json = False) -> None:
    """List the versions of a model that were trained or uploaded, newest first, and which one serves.

    [bold]Example[/bold]

        tumorseg models versions resunet
    """
    store = opened(state)
    cards, serving = _cards(store, model), _serving(store, model)
    rows = [_row(card, serving) for card in cards]
    if as_json:
        print_json({"model": model, "serving": serving, "versions": rows})
        return
    if rows:
        print_table(_table(rows))
    if not any(row["serving"] for row in rows):
        note(f"{model}: {_EXPLAINED.get(serving, serving)} serves")


def show(
    model: Model,
    version: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="As versions lists them.")],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Show everything that is known of a version: its figures, and the labels that it was made of.

    [bold]Example[/bold]

        tumorseg models show resunet 0003-1f2e3d4c
    """
    from tumorseg.versions.cards import as_json as said_of

    store = opened(state)
    _cards(store, model)
    card = store.get(model, version)
    said = {**said_of(card), "serving": _serving(store, model) == card.id}
    if as_json:
        print_json(said)
        return
    cases = said.pop("cases")
    print_table(*(_facts(said), _listed(cases)) if cases else (_facts(said),))


def rollback(
    model: Model,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            show_default="what served before",
            help="A published version, or [bold]shipped[/bold] for the weights that come with the model.",
        ),
    ] = None,
    state: State = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Let an earlier version of a model serve again; its answers are the old ones bit for bit.

    Nothing is removed: the version that served until now can be rolled forward to in the same way. Servers that run on
    this state folder follow within a second, without a restart.

    [bold]Examples[/bold]

        tumorseg models rollback resunet

        tumorseg models rollback resunet 0003-1f2e3d4c --yes
    """
    store = opened(state)
    _cards(store, model)
    wanted = version or store.before(model)
    before = _serving(store, model)
    if before == wanted:
        note(f"{model}: {wanted} serves already, nothing was changed")
    else:
        _ask(f"{model}: serve {wanted} instead of {before}?", yes)
        store.rollback(model, wanted, getpass.getuser())
        _record(store, model, before, wanted)
        note(f"{model}: {wanted} serves now instead of {before}; running servers follow within a second")
        if before != _UNKNOWN:
            note(f"back again: tumorseg models rollback {model} {before}")
    if as_json:
        print_json({"model": model, "serving": wanted, "before": before, "changed": before != wanted})


def opened(state: Path | None) -> VersionStore:
    """Return the versions of a server's state folder."""
    from tumorseg.config import state_folder
    from tumorseg.versions.store import VersionStore

    return VersionStore((state.expanduser().resolve() if state else state_folder()) / "weights")


def serving_here(store: VersionStore) -> dict[str, str]:
    """Return which version of each model serves, of those that have any; a damaged pointer says so."""
    return {model: _serving(store, model) for model in store.models() if store.list(model)}


def _serving(store: VersionStore, model: str) -> str:
    try:
        return store.serving(model)
    except InputError:
        return _UNKNOWN


def _cards(store: VersionStore, model: str) -> list[VersionCard]:
    """Return all cards of a model that there is: one of ours, or one that has versions."""
    from tumorseg.registry import MODELS

    known = {*MODELS, *store.models()}
    if model not in known:
        raise NotFoundError(
            f"no model {model[:80]!r} here and none with versions in {store.root}; {', '.join(sorted(known))}"
        )
    return store.list(model)


def _row(card: VersionCard, serving: str) -> dict[str, Any]:
    """Return what is said of a version in a line."""
    patients = {part: {case.patient for case in card.cases if case.part == part} for part in ("train", "validation")}
    return {
        "id": card.id,
        "serving": card.id == serving,
        "made_at": card.made_at,
        "made_by": card.made_by,
        "how": card.how,
        "status": card.status,
        "parent": card.parent,
        "sha256": card.sha256,
        "patients": {part: len(names) for part, names in patients.items()},
        "cases": len(card.cases),
        "measured": dict(card.measured),
        "why": card.why,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("version", no_wrap=True)
    for column in ("made (UTC)", "by", "how", "status", "validation Dice", "patients", "why"):
        table.add_column(column, overflow="fold", no_wrap=column in ("validation Dice", "patients"))
    for row in rows:
        mark = " (serving)" if row["serving"] else ""
        count = row["patients"]
        patients = f"{count['train']} train\n{count['validation']} validation" if any(count.values()) else "-"
        made = row["made_at"][:16].replace("T", " ")
        cells = (row["id"] + mark, made, row["made_by"], row["how"], row["status"], _dice(row["measured"]), patients)
        style = "bold" if row["serving"] else "dim" if row["status"] == "refused" else ""
        table.add_row(*(Text(cell) for cell in (*cells, row["why"] or "-")), style=style)
    return table


def _facts(said: Mapping[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False)
    for name, value in said.items():
        shown = (
            json.dumps(value, indent=2) if isinstance(value, Mapping) else "-" if value in (None, "") else str(value)
        )
        table.add_row(name.replace("_", " "), Text(shown, overflow="fold"))
    return table


def _listed(cases: list[dict[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"the {len(cases)} labels that it was made of", title_justify="left")
    for column in cases[0]:
        table.add_column(column, overflow="fold")
    for case in cases:
        table.add_row(*map(Text, case.values()))
    return table


def _dice(measured: Mapping[str, Any]) -> str:
    """Say how candidate and champion measured, and how sure the difference is; cards are read as far as they go."""
    candidate, champion = (_number(_within(measured, whose, "mean")) for whose in ("candidate", "champion"))
    if candidate is None:
        return "-"
    said = f"{candidate:.3f}" if champion is None else f"{champion:.3f} -> {candidate:.3f}"
    difference, low, high = (_number(measured.get(name)) for name in ("difference", "low", "high"))
    if difference is None or champion is None:
        return said
    return f"{said}\n{difference:+.3f}" + ("" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})")


def _within(measured: Mapping[str, Any], name: str, figure: str) -> Any:
    said = measured.get(name)
    return said.get(figure) if isinstance(said, Mapping) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _ask(question: str, yes: bool) -> None:
    """Let a person think once more; a script has to say that it did."""
    if yes:
        return
    if not _is_somebody_there():
        raise InputError(f"{question} Nobody can be asked here: add --yes")
    typer.confirm(question, abort=True, err=True)


def _is_somebody_there() -> bool:
    return sys.stdin.isatty()


def _record(store: VersionStore, model: str, before: str, version: str) -> None:
    """Keep in the audit log who changed what serves."""
    from tumorseg.audit.log import AuditLog

    log = AuditLog(store.root.parent / "audit")
    try:
        detail = {"model": model, "version": version, "before": before}
        log.record(getpass.getuser(), "", "model.rollback", detail=detail, how="cli")
    finally:
        log.close()
