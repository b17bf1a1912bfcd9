"""Trains with the unmodified Slicer module of MONAI Label's wheel, as its buttons do; see slicer_panel.py.

Usage: ``slicer_training.py MODULE_FOLDER SERVER MODEL SCRATCH``; prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import slicer.util
from slicer_panel import connected, stand_in

LIMIT_S = 240


def main(folder: str, server: str, model: str, scratch: Path) -> dict[str, Any]:
    """Click "Train", watch the bar until it moves, click "Stop", and watch until the panel says that it is over."""
    errors = stand_in(scratch)
    slicer.util.confirmOkCancelDisplay = lambda *args, **kw: True
    _, widget = connected(folder, server, model, scratch)
    before = widget.isTrainingRunning()
    trainer = widget.info["trainers"][model]
    trainer["config"]["max_epochs"] = 5000  # as typed into the panel's table
    widget.onTraining()
    running = widget.isTrainingRunning()
    shown = watch(widget, lambda bars: any(1 < value < 100 for value in bars))
    widget.onStopTraining()
    watch(widget, lambda _: widget.timer is None)
    tip = widget.ui.trainingProgressBar.setToolTip.call_args[0][0]
    return {
        "errors": errors,
        "before": before,
        "running": running,
        "shown": shown,
        "tip": tip,
        "after": widget.isTrainingRunning(),
        "config": sorted(trainer["config"]),
    }


def watch(widget: Any, is_enough: Callable[[list[float]], bool]) -> list[float]:
    """Look as the panel's timer does; return what its bar was set to."""
    bar, end = widget.ui.trainingProgressBar, time.monotonic() + LIMIT_S
    bar.setValue.reset_mock()
    while time.monotonic() < end:
        widget.timer = widget.timer or MagicMock()
        widget.monitorTraining()
        values = [call.args[0] for call in bar.setValue.call_args_list]
        if is_enough(values):
            return values
        time.sleep(0.2)
    raise TimeoutError("the panel never showed it")


if __name__ == "__main__":
    answer = main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
