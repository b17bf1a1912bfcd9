"""What cannot be published; that the rest is, tests/cli/test_train_clicks.py shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tumorseg.errors import InputError, NotFoundError
from tumorseg.evaluation.interactive.publish import publish_clicks


def test_a_run_that_is_not_finished_or_held_nobody_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="let tumorseg train clicks finish first"):
        publish_clicks(tmp_path, tmp_path)
    (tmp_path / "clicks.safetensors").touch()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "split.json").write_text(json.dumps({"train": ["A"], "validation": [], "test": []}))
    (tmp_path / "history.jsonl").touch()
    with pytest.raises(InputError, match="that the run held out, got none"):
        publish_clicks(tmp_path, tmp_path)
