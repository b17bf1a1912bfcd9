"""Files with one thing in them replaced at random are read or refused in our own words; nothing else happens."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.annotations.sets import random_set
from tests.annotations.test_round_trips import write
from tumorseg.annotations import open_pictures
from tumorseg.errors import TumorSegError

FILES = {"via": "via_region_data.json", "coco": "annotations.json", "datastore": "annotations.tumorseg.json"}
JUNK = [None, True, -1, 0, float("inf"), float("nan"), "", "x", [], {}, [1], {"a": 1}, [[]], "../x", "a\0b", 10**30]


def damaged(value: Any, rng: random.Random) -> Any:
    """Replace or remove something, mostly a leaf."""
    value = copy.deepcopy(value)
    node = value
    while True:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        if not isinstance(node[key], (dict, list)) or not node[key] or rng.random() < 0.15:
            break
        node = node[key]
    if isinstance(node, dict) and rng.random() < 0.3:
        del node[key]
    else:
        node[key] = rng.choice(JUNK)
    return value


@pytest.mark.parametrize("format", sorted(FILES))
def test_damage_is_refused_or_harmless(format: str, tmp_path: Path) -> None:
    kinds = ["polygon", "box"] if format == "via" else ["polygon", "mask", "box"]
    write(random_set(tmp_path / "made", kinds, seed=1), format, tmp_path / "set")
    file, rng = tmp_path / "set" / FILES[format], random.Random(0)
    good, refused = json.loads(file.read_text()), 0
    for _ in range(60):
        file.write_text(json.dumps(damaged(good, rng)))
        with contextlib.suppress(TumorSegError):
            open_pictures(tmp_path / "set", format)
            refused -= 1
        refused += 1
        with contextlib.suppress(TumorSegError):
            open_pictures(tmp_path / "set", format, keep_going=True)
    assert refused >= 10
