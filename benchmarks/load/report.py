"""What was seen under load, as tables to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print the tables, and every error in words."""
    from rich.table import Table

    settings = result["settings"]
    for name in ("ours", "stock"):
        found = result[name]
        if "latency_ms" not in found:
            console.print(f"{name} was not measured: {found.get('absent')}", markup=False)
            continue
        title = f"{name}: {settings['clients']} clients, {found['seconds']:.0f} s"
        table = Table(title=title, title_justify="left")
        for column in ("", "answered", "refused", "errors", "p50 ms", "p95 ms", "max ms"):
            table.add_column(column, justify="right" if column else "left")
        for action, numbers in found["latency_ms"].items():
            wrong = found["errors_by"].get(action, 0) + found["unanswered_by"].get(action, 0)
            counts = (numbers["count"], found["refused_by"].get(action, 0), wrong)
            times = (f"{numbers[key]:.0f}" for key in ("p50", "p95", "max"))
            table.add_row(action, *map(str, counts), *times)
        console.print(table)
        for message in found["messages"]:
            console.print(f"  {message}", markup=False)
        flight, late = found["inferences_in_flight"], found["loop_late_ms"]
        console.print(
            f"inferences under way when /info/ was asked: {flight['p50']:.0f} (at least {flight['min']:.0f}); "
            f"the clients' own loop was late by {late['p95']:.0f} ms (p95)"
        )
    if left := result["lasting"]:
        console.print(f"after {left['requests']} requests, growth over 10,000: {left['growth_over_10000_requests']}")
        for line in (*left["excess"], *left["messages"]):
            console.print(f"  {line}", style="red", markup=False)
