"""``tumorseg models``: what there is to choose from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tumorseg.cli.console import print_json, print_table
from tumorseg.cli.options import Json
from tumorseg.errors import TumorSegError, UnavailableError


def models(as_json: Json = False) -> None:
    """List the models: what they look at, what they mark, how well they were measured, and their licence."""
    from tumorseg.registry import DEFAULT_MODEL, MODELS

    rows = [_describe(name) | {"default": name == DEFAULT_MODEL} for name in MODELS]
    if as_json:
        print_json({"models": rows, "default": DEFAULT_MODEL})
        return
    from rich.table import Table

    table = Table()
    for column in ("model", "version", "looks at", "marks", "weights", "mean Dice", "licence of the weights"):
        table.add_column(column, overflow="fold")
    for row in rows:
        name = f"[bold]{row['name']}[/bold]" + (" (default)" if row["default"] else "")
        size = f"{row['weights_mb']:.1f} MB" if row["weights_mb"] else "-"
        if row["unavailable"]:
            table.add_row(name, f"[yellow]{row['unavailable']}[/yellow]")
            continue
        sees, marks = ", ".join(row["channels"]), ", ".join(row["labels"])
        table.add_row(name, row["version"], sees, marks, size, _dice(row["measured"]), row["licence"] or "-")
    print_table(table)


def _describe(name: str) -> dict[str, Any]:
    from tumorseg.registry import load_model

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
        model = load_model(name)
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
        "labels": dict(model.labels),
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


def _dice(measured: dict[str, Any]) -> str:
    shown = [
        f"{figures['dice_mean']:.3f} on {figures['patients']} {subset} patients"
        for subset, figures in measured.items()
        if isinstance(figures, dict) and figures.get("dice_mean") is not None
    ]
    return "\n".join(shown) or "-"
