"""How often a candidate that truly loses just the margin is published, by the number of validation patients.

Run ``python -m benchmarks.verdicts``. The patients' differences are drawn from a normal distribution whose mean is the
loss of :data:`tumorseg.training.challenge.MARGIN`; every draw is decided as a server decides it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks import machine
from tumorseg.training.challenge import MARGIN, decide

RESULT = Path(__file__).parent / "results" / "verdicts.json"
PATIENTS = (1, 2, 3, 5, 10, 19, 20, 40)
#: Standard deviations of the patients' differences, Dice.
SPREADS = (0.03, 0.06)
_CHAMPION = 0.7

app = typer.Typer(add_completion=False)


@app.command()
def main(
    draws: Annotated[int, typer.Option(min=10, help="Of each number of patients and spread.")] = 1000,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = RESULT,
) -> None:
    """Count how many candidates at the margin get through."""
    passed = {f"{spread:g}": {str(n): share(n, spread, draws) for n in PATIENTS} for spread in SPREADS}
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    result = {"taken": taken, "machine": machine.machine(), "margin": MARGIN, "draws": draws, "passed": passed}
    json_path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    typer.echo(json.dumps(passed))


def share(patients: int, spread: float, draws: int) -> float:
    """Return the part in [0, 1] of the candidates that are published."""
    rng = np.random.default_rng([patients, round(1000 * spread)])
    published = 0
    for _ in range(draws):
        gains = np.clip(rng.normal(-MARGIN, spread, patients), -_CHAMPION, 1 - _CHAMPION)
        champion = {str(n): _CHAMPION for n in range(patients)}
        candidate = {str(n): _CHAMPION + float(gain) for n, gain in enumerate(gains)}
        published += decide(champion, candidate).publish
    return round(published / draws, 3)


if __name__ == "__main__":
    app()
