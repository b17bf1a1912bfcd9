"""The table of the five systems, published beside ours, from stored results."""

from __future__ import annotations

from collections.abc import Sequence

from tumorseg.evaluation.numbers import shown
from tumorseg.evaluation.store import Stored
from tumorseg.evaluation.systems import PaperFigure, System, paper_figures, systems
from tumorseg.evaluation.words import title

Row = tuple[str, ...]
SUBSETS = ("validation", "test")
LONG_HEAD: Row = ("system", "figure", "published", *(f"ours, {name} [95 %]" for name in SUBSETS))
SHORT_HEAD: Row = ("system", "figure", "published", "ours [95 %]")
SOURCE_HEAD: Row = ("system", "whose", "source", "remark")
NOTHING = "–"


def long_rows(stored: Sequence[Stored]) -> list[Row]:
    """Return every figure of every model of every system, on both held-out parts."""
    return [row for system in systems() for row in _long(system, stored)]


def short_rows(stored: Sequence[Stored]) -> list[Row]:
    """Return the headline figures, on the test part (on the validation part where there is no other)."""
    rows = []
    for system in systems():
        for model in system.models:
            best = _of(stored, model, "test") or _of(stored, model, "validation") or _of(stored, model, "all")
            if best is None:
                continue
            for figure in system.headline:
                if (cell := _cell(best, figure)) != NOTHING:
                    where = f"{cell}, {best.count} {best.unit}" + ("" if best.subset == "test" else f" ({best.subset})")
                    rows.append((_system(system), _figure(model, figure), _published(system, figure), where))
    return _said_once(rows)


def source_rows() -> list[Row]:
    """Return where each published figure is from."""
    remarks: dict[tuple[str, str, str], list[str]] = {}
    for system in systems():
        for one in paper_figures(system.letter):
            said = remarks.setdefault((system.letter, one.name, one.source), [])
            if one.remark or one.value is None:
                said.append(f"{title(one.figure)}: {one.remark or 'not stated'}")
        remarks[system.letter, "", ""] = [system.note]
    return [(*key, "; ".join(dict.fromkeys(said))) for key, said in remarks.items()]


def _long(system: System, stored: Sequence[Stored]) -> list[Row]:
    rows: list[Row] = []
    measured: set[str] = set()
    for model in system.models:
        parts = [_of(stored, model, subset) for subset in SUBSETS]
        for figure in system.figures:
            cells = [NOTHING if part is None else _cell(part, figure) for part in parts]
            if any(cell != NOTHING for cell in cells):
                counted = [_counted(cell, part) for cell, part in zip(cells, parts, strict=True)]
                rows.append((_system(system), _figure(model, figure), _published(system, figure), *counted))
                measured.add(figure)
        if all(part is None for part in parts):
            rows.append((_system(system), f"`{model}`", NOTHING, *("not measured yet" for _ in SUBSETS)))
    others = dict.fromkeys(one.figure for one in paper_figures(system.letter) if one.figure not in measured)
    rows += [(_system(system), title(name), _published(system, name), *(NOTHING for _ in SUBSETS)) for name in others]
    return _said_once(rows)


def _counted(cell: str, part: Stored | None) -> str:
    return cell if part is None or cell == NOTHING else f"{cell}, {part.count} {part.unit}"


def _said_once(rows: Sequence[Row]) -> list[Row]:
    """Leave the system out of all but its first row."""
    before = ("", *(row[0] for row in rows))
    return [("" if row[0] == last else row[0], *row[1:]) for row, last in zip(rows, before, strict=False)]


def _of(stored: Sequence[Stored], model: str, subset: str) -> Stored | None:
    return next((one for one in stored if (one.model, one.subset) == (model, subset)), None)


def _cell(one: Stored, figure: str) -> str:
    if figure in one.pairs:
        return "{} / {}".format(*one.pairs[figure])
    value = one.figures.get(figure)
    return NOTHING if value is None or shown(value) == "-" else shown(value)


def _system(system: System) -> str:
    return f"**{system.letter}** {system.title}"


def _figure(model: str, figure: str) -> str:
    return f"`{model}`: {title(figure)}"


def _published(system: System, figure: str) -> str:
    """Return the published values of a figure, with what they are of."""
    found = [one for one in paper_figures(system.letter) if one.figure == figure]
    return "; ".join(_words(one) for one in found) or NOTHING


def _words(one: PaperFigure) -> str:
    part = "" if one.part == "test" else f"{one.part}: "
    return f"{part}{one.shown} ({one.whose})"


def _remark(one: PaperFigure) -> str:
    return one.remark or ("" if one.value is not None else "not stated")
