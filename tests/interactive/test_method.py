"""A method's version changes with its name and with every number that it depends on, and with nothing else."""

from __future__ import annotations

from types import ModuleType

from tumorseg.interactive.method import numbers_of, version_of


def test_every_public_number_counts_and_nothing_else_does() -> None:
    module = ModuleType("some.where.walker")
    module.STEPS, module._TINY, module.walk, module.TYPE_CHECKING = 60, 1e-12, len, False  # type: ignore[attr-defined]
    assert numbers_of([module]) == {"walker.STEPS": 60}
    known = version_of("walk1", numbers_of([module]))
    assert version_of("walk1", numbers_of([module])) == known
    assert version_of("walk2", numbers_of([module])) != known
    module.STEPS = 61  # type: ignore[attr-defined]
    assert version_of("walk1", numbers_of([module])) != known
