"""A site's own model: a module of its own that finds its weights where nobody else would look for them."""

from __future__ import annotations

from pathlib import Path

import pytest

_MODULE = """
from pathlib import Path

from tests.untrained import SPEC
from tumorseg.models.slicewise import SlicewiseModel

def build(weights=None, device="auto"):
    model = SlicewiseModel(SPEC, weights or Path({weights!r}), device)
    if {silent}:
        model.weights = None
    return model
"""


def write_own(root: Path, monkeypatch: pytest.MonkeyPatch, weights: Path, *, silent: bool = False) -> str:
    """Write the module and return what ``extra_models`` of a server says of it.

    Args:
        root: folder that no other test has.
        monkeypatch: lets Python find the module.
        weights: that the factory takes where it is told nothing.
        silent: whether the model keeps to itself which file that is.
    """
    name = f"own_model_{abs(hash(root))}"
    (root / f"{name}.py").write_text(_MODULE.format(weights=str(weights), silent=silent))
    monkeypatch.syspath_prepend(root)
    return f"own={name}:build"
