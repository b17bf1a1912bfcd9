"""From samples to medians and ratios, as a table to read and as JSON to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Samples

if TYPE_CHECKING:
    from rich.console import Console

#: Load average before the start above which a measurement should be taken again.
BUSY = 0.5
_TITLES = {
    "ours": "ours",
    "ours_uncached": "ours, DICOM read each time",
    "ours_default": "ours, default model",
    "stock": "stock",
}


def summary(samples: Mapping[str, Mapping[str, Samples]]) -> dict[str, Any]:
    """Medians, extremes and every single request, subject -> viewer -> numbers."""
    return {name: {viewer: _numbers(one) for viewer, one in by.items()} for name, by in samples.items()}


def _numbers(sample: Samples) -> dict[str, Any]:
    return {
        "median_s": _round(median(sample.wall_s)),
        "min_s": _round(min(sample.wall_s)),
        "max_s": _round(max(sample.wall_s)),
        "cpu_median_s": _round(median(sample.cpu_s)),
        "all_s": [_round(value) for value in sample.wall_s],
    }


def steps(sample: Samples) -> dict[str, float]:
    """Median seconds of each step as the server itself tells them, and of what is left of the request around them.

    Our server's ``infer`` is the sum of its ``model_`` steps and is left out for them.
    """
    kept = [{k: v for k, v in one.items() if isinstance(v, int | float)} for one in sample.latencies]
    names = [name for name in kept[0] if name != "total" and not (name == "infer" and "model_network" in kept[0])]
    medians = {name: _round(median(one[name] for one in kept)) for name in names}
    rest = [wall - one["total"] for wall, one in zip(sample.wall_s, kept, strict=True)]
    return {**medians, "http": _round(median(rest))}


def ratios(result: Mapping[str, Any]) -> dict[str, float]:
    """How many times less ours takes than stock; above 1 is better than stock."""
    warm, first, memory, info = (result[key] for key in ("warm", "first_mask_s", "memory_mb", "info_s"))
    found = {
        "warm_ohif": warm["stock"]["ohif"]["median_s"] / warm["ours"]["ohif"]["median_s"],
        "warm_slicer": warm["stock"]["slicer"]["median_s"] / warm["ours"]["slicer"]["median_s"],
        "warm_ohif_cpu": _safe(warm["stock"]["ohif"]["cpu_median_s"], warm["ours"]["ohif"]["cpu_median_s"]),
        "warm_ohif_uncached": warm["stock"]["ohif"]["median_s"] / warm["ours_uncached"]["ohif"]["median_s"],
        "first_mask": median(first["stock"]) / median(first["ours"]),
        "memory": memory["stock"] / memory["ours"],
        "info_while_busy": median(info["stock"]["busy"]) / median(info["ours"]["busy"]),
    }
    return {name: round(value, 2) for name, value in found.items()}


def _safe(above: float, below: float) -> float:
    """Divide two processor times, which come in steps of 10 ms and may be none."""
    return above / max(below, 0.01)


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print the tables."""
    console.print(_comparison(result))
    console.print(_warm(result["warm"]))
    console.print(_steps(result["steps_s"], result["network_only_s"]))
    dice = ", ".join(f"{_TITLES[name]} {value:.4f}" for name, value in result["dice_to_ours"].items())
    console.print(f"Dice to our mask: {dice}; voxels in it: {result['mask_voxels']}")
    if (load := result["load_average"][0]) > BUSY:
        console.print(
            f"[yellow]The machine was busy (load {load} before the start). That flatters us: PyTorch's threads wait "
            "for one another, so stock suffers more. Measure again when it is quiet."
        )


def _table(title: str, columns: Sequence[str]) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right")
    return table


def _comparison(result: Mapping[str, Any]) -> Any:
    warm, first, memory, info = (result[key] for key in ("warm", "first_mask_s", "memory_mb", "info_s"))
    ratio = result["ratios"]
    table = _table("Against stock MONAI Label, the same network", ("", "ours", "stock", "ratio"))

    def row(key: str, title: str, *values: str) -> None:
        table.add_row(title, *values, f"{ratio[key]:.1f}x")

    row("first_mask", "start to first mask", *(f"{median(first[who]):.1f} s" for who in ("ours", "stock")))
    ever = median(first["ours_first_ever"])
    table.add_row("… the first time on a machine", f"{ever:.1f} s", "", f"{median(first['stock']) / ever:.1f}x")
    for viewer in ("ohif", "slicer"):
        medians = (f"{1000 * warm[who][viewer]['median_s']:.0f} ms" for who in ("ours", "stock"))
        row(f"warm_{viewer}", f"warm request, {viewer}", *medians)
    cpu = (f"{1000 * warm[who]['ohif']['cpu_median_s']:.0f} ms" for who in ("ours", "stock"))
    row("warm_ohif_cpu", "processor time of OHIF's", *cpu)
    row("memory", "peak memory", *(f"{memory[who]:.0f} MB" for who in ("ours", "stock")))
    busy = (f"{1000 * median(info[who]['busy']):.0f} ms" for who in ("ours", "stock"))
    row("info_while_busy", "/info/ during an inference", *busy)
    return table


def _warm(warm: Mapping[str, Any]) -> Any:
    table = _table("Warm requests", ("", "viewer", "median", "min", "max", "processor", "requests"))
    for name, by in warm.items():
        for viewer, seen in by.items():
            times = (f"{1000 * seen[key]:.0f} ms" for key in ("median_s", "min_s", "max_s", "cpu_median_s"))
            table.add_row(_TITLES[name], viewer, *times, str(len(seen["all_s"])))
    return table


def _steps(by_server: Mapping[str, Mapping[str, float]], network: Mapping[str, float]) -> Any:
    table = _table("Where a warm request's time goes (medians, as the servers tell them)", ("", "step", "time"))
    for name, parts in by_server.items():
        for step, seconds in parts.items():
            table.add_row(_TITLES[name], step, f"{1000 * seconds:.0f} ms")
    for batch, seconds in network.items():
        table.add_row("PyTorch eager", f"one pass, batch {batch}", f"{1000 * seconds:.0f} ms")
    return table


def _round(value: float) -> float:
    return round(value, 4)
