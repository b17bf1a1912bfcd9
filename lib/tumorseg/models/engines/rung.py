"""How a network is asked when memory is short, from what is fastest to what always works."""

from __future__ import annotations

from dataclasses import dataclass

_ORDER = ("full", "batch", "half", "cpu")


@dataclass(frozen=True)
class Rung:
    """One step of the ladder (:mod:`tumorseg.models.engines.ladder`).

    Attributes:
        name: ``full``, ``batch``, ``half`` or ``cpu``.
        batch: slices at once, at most.
        half: whether it computes in 16 bits where PyTorch holds that to be safe (autocast).
        cpu: whether it computes on the processor although there is a GPU.
    """

    name: str
    batch: int
    half: bool = False
    cpu: bool = False

    @property
    def depth(self) -> tuple[int, int]:
        """The lower the rung, the greater."""
        return _ORDER.index(self.name), -self.batch

    @property
    def note(self) -> str:
        """One sentence for whoever reads the answer."""
        how = f"in batches of {self.batch}" + (" and half precision" if self.half else "")
        return f"the GPU had no memory left: computed {'on the CPU' if self.cpu else how}"


def rungs(batch: int) -> tuple[Rung, ...]:
    """List the rungs: ``batch`` slices at once, halved down to one, one in half precision, the CPU."""
    sizes = [batch]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] // 2)
    smaller = (Rung("batch", size) for size in sizes[1:])
    return (Rung("full", batch), *smaller, Rung("half", 1, half=True), Rung("cpu", batch, cpu=True))


def lower(one: Rung | None, other: Rung | None) -> Rung | None:
    """Return the lower of two rungs; None stands for no ladder."""
    return max((rung for rung in (one, other) if rung is not None), key=lambda rung: rung.depth, default=None)


def lower_name(one: str, other: str) -> str:
    """Return the name of the lower of two rungs."""
    return max(one, other, key=_ORDER.index)


def said(rung: Rung | None) -> tuple[str, tuple[str, ...]]:
    """Return the name of a rung and the notes that an answer carries; no ladder is the top of one."""
    if rung is None or rung.name == "full":
        return "full", ()
    return rung.name, (rung.note,)
