"""``tumorseg models``: what there is to choose from, and which version of it serves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from tumorseg.cli.console import note, print_json, print_table
from tumorseg.cli.model_versions import State, opened, rollback, serving_here, show, versions
from tumorseg.cli.options import Json
from tumorseg.errors import TumorSegError, UnavailableError

app = typer.Typer()
for command in (versions, show, rollback):
    app.command()(command)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, state: State = None, as_json: Json = False) -> None:
    """List the models: what they look at, what they mark, how well they were measured, and their licence.

    Where models were trained or got other weights on a server, its state folder also says which version serves.

    [bold]Examples[/bold]

        tumorseg models

        tumorseg models versions resunet

        tumorseg models rollback resunet
    """
    if context.invoked_subcommand is None:
        _list(serving_here(opened(state)), as_json)


def _list(serving: dict[str, str], as_json: bool) -> None:
    from tumorseg.registry import CLASSIFIERS, DEFAULT_MODEL, MODELS, load_classifier, load_model

    rows = [_describe(name, load_model) | {"default": name == DEFAULT_MODEL} for name in MODELS]
    classifiers = [_describe(name, load_classifier) | {"default": False} for name in CLASSIFIERS]
    if as_json:
        print_json({"models": rows, "classifiers": classifiers, "default": DEFAULT_MODEL, "serving": serving})
        return
    from rich.table import Table

    table = Table()
    for column in ("model", "version", "looks at", "marks", "weights", "measured", "licence of the weights"):
        table.add_column(column, overflow="fold")
    for row in rows + classifiers:
        name = f"[bold]{row['name']}[/bold]" + (" (default)" if row["default"] else "")
        size = f"{row['weights_mb']:.1f} MB" if row["weights_mb"] else "-"
        if row["unavailable"]:
            table.add_row(name, f"[yellow]{row['unavailable']}[/yellow]")
            continue
        sees = ", ".join(filter(None, row["channels"])) or "pictures"
        marks = ", ".join(row["labels"]) or "no voxels: which slices"
        table.add_row(name, row["version"], sees, marks, size, _figures(row["measured"]), row["licence"] or "-")
    print_table(table)
    for name, version in serving.items():
        note(f"on this server {name} is version {version}; all of them: tumorseg models versions {name}")


def _describe(name: str, load: Callable[[str], Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "version": None,
        "description": "",
        "channels": [],
        "labels": {},
        "weights_mb": None,
        "measured": {},
        "licence": None,
        "unavailable": None,
    }
    try:
        model = load(name)
    except UnavailableError:
        return row | {"unavailable": "not trained yet"}
    except TumorSegError as error:
        return row | {"unavailable": str(error)}
    weights = getattr(model, "weights", None)
    card = _card(weights)
    return row | {
        "version": model.version,
        "description": model.description,
        "channels": list(model.channels),
        "labels": dict(getattr(model, "labels", {})),
        "weights_mb": round(weights.stat().st_size / 1e6, 1) if weights else None,
        "measured": card.get("measured", {}),
        "licence": card.get("licence"),
    }


def _card(weights: Path | None) -> dict[str, Any]:
    """Read the model card for machines, ``<weights>.json``: ``licence`` and ``measured`` by subset, as of evaluate."""
    file = weights.with_suffix(".json") if weights else None
    if file is None or not file.is_file():
        return {}
    card = json.loads(file.read_text(encoding="utf-8"))
    return card if isinstance(card, dict) else {}


#: What says most of a model, the first of these that was measured, and what it was measured on.
HEADLINES = (
    ("auc", "AUC {:.3f} on {} {} patients", "patients"),
    ("map50", "mAP@0.5 {:.3f} on {} {} pictures", "images"),
    ("dice_mean", "mean Dice {:.3f} on {} {} patients", "patients"),
)


def _figures(measured: dict[str, Any]) -> str:
    shown = []
    for subset, figures in measured.items():
        told = figures if isinstance(figures, dict) else {}
        chosen = next((headline for headline in HEADLINES if told.get(headline[0]) is not None), None)
        if chosen is not None:
            figure, text, counted = chosen
            shown.append(text.format(told[figure], told[counted], subset))
    return "\n".join(shown) or "-"
