"""Options that several commands have, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON on stdout, for machines.")]
Device = Annotated[
    str, typer.Option(help="[bold]auto[/bold] takes a GPU when there is one; else cpu, cuda or cuda:1.", metavar="NAME")
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights of your own (.safetensors) instead of those that ship.", metavar="FILE"),
]
