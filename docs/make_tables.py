"""Fill the tables of README.md and docs/ from what the commands wrote. No figure is typed by hand.

usage: python docs/make_tables.py [--check]

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table:NAME -->``. Sources: the model cards beside the weights
(`tumorseg publish` writes them), the lines for each picture and patient in ``docs/results`` (`make evaluate` writes
them), ``benchmarks/results`` (`make benchmark`), ``docs/simulation`` (`make simulate`), and the rules that the
server's addresses carry. With ``--check`` nothing is written, and the exit code is 1 where a table is not what its
source says.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tumorseg.active_learning.simulation.tables import markdown as simulation_page
from tumorseg.evaluation.interactive import stored as clicks
from tumorseg.evaluation.numbers import shown
from tumorseg.evaluation.published import published
from tumorseg.evaluation.store import Stored, read_store
from tumorseg.evaluation.systems_table import LONG_HEAD, SHORT_HEAD, SOURCE_HEAD, long_rows, short_rows, source_rows

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
CARDS = ROOT / "lib" / "tumorseg" / "models" / "weights"
RESULTS = ROOT / "docs" / "results"
MEASURED = ROOT / "benchmarks" / "results"
SERVING = MEASURED / "serving.json"
TABLE = re.compile(r"(<!-- table:(\w+) -->\n).*?(<!-- /table:\2 -->)", re.DOTALL)
# What clients do under load, in the order of the table.
ACTIONS = ("info", "next_sample", "read_label", "save_label", "infer_ohif", "infer_slicer")

Row = tuple[str, ...]


def main(check: bool) -> int:
    """Fill or check every page; return the exit code."""
    changed = [page for page in PAGES if fill(page, write=not check)]
    for page in changed:
        sys.stderr.write(f"{page.relative_to(ROOT)}: {'out of date' if check else 'written'}\n")
    return int(check and bool(changed))


def fill(page: Path, *, write: bool) -> bool:
    """Bring the tables of one page up to date; return whether anything was not."""
    old = page.read_text(encoding="utf-8")
    new = TABLE.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}", old)
    if write and new != old:
        page.write_text(new, encoding="utf-8")
    return new != old


def of(file: str, command: str) -> Callable[[Callable[[dict[str, Any]], str]], Callable[[], str]]:
    """Make a table of what a benchmark wrote; where it was not run the page says which command does."""

    def tabled(table: Callable[[dict[str, Any]], str]) -> Callable[[], str]:
        def filled() -> str:
            path = MEASURED / file
            if not path.exists():
                return f"*Not measured in this checkout yet (`{command}`).*\n"
            return table(json.loads(path.read_text(encoding="utf-8")))

        return filled

    return tabled


@functools.cache
def measured() -> tuple[Stored, ...]:
    """What is stored, summed up once: the intervals take seconds."""
    return tuple(read_store(RESULTS))


def accuracy() -> str:
    """Every shipped model that marks voxels on its held-out patients, beside what others published."""
    head = ("", "patients", "mean Dice [95 %]", "median Dice [95 %]", "false-positive / empty slices")
    cards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CARDS.glob("*.json"))]
    if not cards:
        return "*No weights have been published in this checkout yet (`tumorseg publish`).*\n"
    stored = {(one.model, one.version, one.subset): one for one in measured()}
    ours = [
        (f"`{card['model']}`, {subset}", *_measured(found, stored.get((card["model"], card["version"], subset))))
        for card in cards
        for subset, found in card["measured"].items()
        if "dice_median" in found  # detectors and classifiers are measured otherwise: see systems
    ]
    others = [(p.name, str(p.patients or ""), f"{p.dice_mean:.3f}", "", "") for p in published()]
    return markdown(head, [*ours, *others])


def _measured(found: dict[str, Any], stored: Stored | None) -> Row:
    """Return the cells of one row, from the stored lines where there are some, so that all tables say the same."""
    if stored is not None:
        figures = (shown(stored.figures["dice_mean"]), shown(stored.figures["dice_median"]))
        return (str(stored.count), *figures, "{} / {}".format(*stored.pairs["false_positive_slices"]))
    mean = f"{found['dice_mean']:.3f} [{found['dice_ci'][0]:.3f}, {found['dice_ci'][1]:.3f}]"
    middle = f"{found['dice_median']:.3f} [{found['dice_median_ci'][0]:.3f}, {found['dice_median_ci'][1]:.3f}]"
    return (str(found["patients"]), mean, middle, f"{found['false_positive_slices']} / {found['empty_slices']}")


def systems() -> str:
    """The five published systems, figure by figure, beside ours."""
    return markdown(LONG_HEAD, long_rows(measured()), text=3)


def systems_short() -> str:
    """Their headline figures beside ours."""
    rows = short_rows(measured())
    return (
        markdown(SHORT_HEAD, rows, text=3) if rows else "*Nothing is stored in this checkout yet (`make evaluate`).*\n"
    )


def sources() -> str:
    """Where the published figures are from."""
    return markdown(SOURCE_HEAD, source_rows(), text=4)


def speed() -> str:
    """Our server and stock MONAI Label with the same network, in one run."""
    if not SERVING.exists():
        return "*Not measured in this checkout yet (`make benchmark`).*\n"
    result = json.loads(SERVING.read_text(encoding="utf-8"))
    taken = f"Taken {result['taken']} on {result['machine']['processor']}, {result['settings']['threads']} threads.\n"
    return markdown(("", "ours", "stock", "ratio"), list(_speeds(result))) + "\n" + taken


def _speeds(result: dict[str, Any]) -> Iterator[Row]:
    ratio = {name: f"{value:.1f}×" for name, value in result["ratios"].items()}
    first, warm, memory = result["first_mask_s"], result["warm"], result["memory_mb"]
    yield "start to first mask", *(f"{median(first[who]):.1f} s" for who in ("ours", "stock")), ratio["first_mask"]
    for viewer, name in (("ohif", "OHIF"), ("slicer", "Slicer")):
        times = (f"{1000 * warm[who][viewer]['median_s']:.0f} ms" for who in ("ours", "stock"))
        yield f"warm request, {name}", *times, ratio[f"warm_{viewer}"]
    yield "peak memory", *(f"{memory[who]:.0f} MB" for who in ("ours", "stock")), ratio["memory"]
    busy = (f"{1000 * median(result['info_s'][who]['busy']):.0f} ms" for who in ("ours", "stock"))
    yield "`/info/` during an inference", *busy, ratio["info_while_busy"]


@of("load.json", "make load")
def load(result: dict[str, Any]) -> str:
    """Our server and stock MONAI Label under many clients at once, and what ours holds after many requests."""
    rows = [(f"`{action}`", *_loaded(result["ours"], action), *_loaded(result["stock"], action)) for action in ACTIONS]
    head = ("milliseconds", "ours p50", "p95", "max", "stock p50", "p95", "max")
    ours, settings = result["ours"], result["settings"]
    said = f"{settings['clients']} clients for {settings['seconds']:g} s: "
    said += f"{ours['requests']} requests to ours, {ours['errors']} errors, {ours['refused']} refused"
    if "requests" in result["stock"]:
        said += f"; {result['stock']['requests']} to stock"
    if result["lasting"]:
        grown = result["lasting"]["growth_over_10000_requests"]
        said += f". After {result['lasting']['requests']} further requests, growth over 10,000: "
        said += ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in grown.items())
    return markdown(head, rows) + f"\n{said}. Taken {result['taken']} on {result['machine']['processor']}.\n"


def _loaded(found: dict[str, Any], action: str) -> Row:
    numbers = found.get("latency_ms", {}).get(action)
    return tuple(f"{numbers[key]:.0f}" for key in ("p50", "p95", "max")) if numbers else ("–", "–", "–")


@of("crash.json", "make crash")
def crash(result: dict[str, Any]) -> str:
    """What was left of labels after their writers were killed."""
    head = ("", "acknowledged", "processes killed", "saves cut off", "lost", "half-written")
    keys = ("acknowledged", "kills", "interrupted")
    rows = [
        (title, *(str(part[key]) for key in keys), str(len(part["lost"])), str(len(part["half_written"])))
        for name, title in (("writers", "through the history"), ("servers", "through servers"))
        if (part := result.get(name))
    ]
    return markdown(head, rows) + f"\nTaken {result['taken']} on {result['machine']['processor']}.\n"


@of("while_training.json", "python -m benchmarks.while_training")
def while_training(result: dict[str, Any]) -> str:
    """How long an inference takes beside a training."""
    titles = {"idle": "at rest", "training": "while the server trains", "plain_training": "beside a training by hand"}
    head = ("`/infer`, ms", "median", "95th percentile", "times at rest (median)")
    rows = [
        (title, f"{said['median_ms']:.0f}", f"{said['p95_ms']:.0f}", str(result["ratio"].get(f"{name}_median_ms", 1)))
        for name, title in titles.items()
        if (said := result["infer"][name])
    ]
    return markdown(head, rows) + f"\n`{result['model']}`, {_taken(result)}"


@of("next_sample.json", "python -m benchmarks.next_sample")
def next_sample(result: dict[str, Any]) -> str:
    """How long a strategy takes to choose the next case."""
    head = ("ms", "choice", "whole request")
    rows = [(f"`{name}`", str(said["warm"]), str(said["post"])) for name, said in result["tumorseg_ms"].items()]
    rows.append(("stock MONAI Label, epistemic", str(result["monailabel_epistemic_ms"]["choice"]), ""))
    said = f"{result['images']} images with vectors of {result['embedding']} numbers, one core; "
    return markdown(head, rows) + f"\n{said}{_taken(result)}"


@of("verdicts.json", "python -m benchmarks.verdicts")
def verdicts(result: dict[str, Any]) -> str:
    """How often a candidate that loses just the margin gets through."""
    spreads = list(result["passed"])
    head = ("validation patients", *(f"differences spread by {spread}" for spread in spreads))
    counts = list(result["passed"][spreads[0]])
    rows = [(count, *(f"{100 * result['passed'][spread][count]:.1f} %" for spread in spreads)) for count in counts]
    return markdown(head, rows, text=0) + f"\n{result['draws']} draws each.\n"


@functools.cache
def interactive() -> str:
    """What a simulated person's clicks bring."""
    rows = clicks.rows(clicks.read_stored(RESULTS / "interactive"))
    if not rows:
        return "*Not measured in this checkout yet (`make evaluate-clicks`).*\n"
    return markdown(clicks.HEAD, rows, text=2)


@of("click.json", "make bench-click")
def click(result: dict[str, Any]) -> str:
    """What a click takes over HTTP, ours and stock MONAI Label's DeepEdit on the same study."""
    names = {"first": "first click on a study", "further": "every further click"}
    head = ("", "clicks", "ours, median", "p95", "stock, median", "p95", "ratio of the medians")
    rows = []
    for name, title in names.items():
        ours, stock = result["ours"][name], result["stock"].get(name)
        told = (f"{stock['median_ms']:.0f} ms", f"{stock['p95_ms']:.0f} ms") if stock else ("–", "–")
        ratio = f"{stock['median_ms'] / ours['median_ms']:.0f}×" if stock else "–"
        rows.append(
            (title, str(ours["count"]), f"{ours['median_ms']:.0f} ms", f"{ours['p95_ms']:.0f} ms", *told, ratio)
        )
    return markdown(head, rows) + f"\n`{result['model']}`, {_taken(result)}"


@of("click_crowd.json", "make bench-click-crowd")
def click_crowd(result: dict[str, Any]) -> str:
    """Many annotators clicking at once on studies of their own."""
    head = ("", "clicks", "median", "p95", "largest")
    rows = []
    for who, title in (("alone", "one after the other"), ("together", "all at once")):
        for kind, name in (("first", "first click"), ("further", "further clicks")):
            told = result[who][kind]
            numbers = (f"{told[key]:.0f} ms" for key in ("median_ms", "p95_ms", "max_ms"))
            rows.append((f"{title}, {name}", str(told["count"]), *numbers))
    memory, people = result["memory_mb"], result["settings"]["annotators"]
    said = (
        f"{people} annotators, a study each, all at once: {result['wrong']} of {result['clicks']} answers were another "
    )
    said += f"study's, {result['identical']} byte for byte what the same clicks gave alone. Memory of the server "
    said += f"{memory['before']:.0f} MB before, {memory['after']:.0f} MB after, {memory['peak']:.0f} MB at its peak; "
    return markdown(head, rows) + f"\n`{result['model']}`. {said}{_taken(result)}"


def simulation() -> str:
    """What choosing by a strategy brought on labelled patients."""
    path = ROOT / "docs" / "simulation" / "simulation.json"
    if not path.exists():
        return "*Not run in this checkout yet (`make simulate`).*\n"
    return simulation_page(json.loads(path.read_text(encoding="utf-8")))


def _taken(result: dict[str, Any]) -> str:
    return f"taken {result['taken']} on {result['machine']['processor']}.\n"


def markdown(head: Row, rows: Sequence[Row], text: int = 1) -> str:
    """Write a table; the first ``text`` columns are text, the others are numbers."""
    rule = tuple("---" if number < text else "---:" for number in range(len(head)))
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def rules() -> str:
    """Who may use which address, as the addresses themselves say it."""
    from tempfile import TemporaryDirectory

    from tumorseg.config import AppConfig
    from tumorseg.server.app import create_app
    from tumorseg.server.rules_table import table

    with TemporaryDirectory() as scratch:
        conf = {"cache": scratch, "state": scratch, "labels": scratch}
        app = create_app(AppConfig.parse(ROOT / "sample_data" / "lgg_dicom", conf, environ={}))
        rows = table(app.routes)
        app.state.workplace.close()
    lines = ["| least role | in the audit log as | addresses |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy,
    "systems": systems,
    "systems_short": systems_short,
    "sources": sources,
    "speed": speed,
    "load": load,
    "crash": crash,
    "while_training": while_training,
    "next_sample": next_sample,
    "verdicts": verdicts,
    "simulation": simulation,
    "interactive": interactive,
    "click": click,
    "click_crowd": click_crowd,
    "rules": rules,
}

if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
