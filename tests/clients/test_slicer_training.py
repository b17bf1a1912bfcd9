"""The unmodified Slicer module trains: its button starts, its bar moves, its other button stops, and it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests import tiny
from tests.clients.test_slicer import module_folder
from tests.serving import live

SCRIPT = Path(__file__).with_name("slicer_training.py")


def save(server: str, image: str, folder: Path) -> None:
    """Save the true mask of a study, with the class that the model learns."""
    file = tiny.write_mask(folder / f"{image}.nii.gz", tiny.study(image))
    said = {"label_info": [{"name": "tumour", "idx": 1}]}
    answer = httpx.put(
        f"{server}/datastore/label",
        params={"image": image},
        data={"params": json.dumps(said)},
        files={"label": (file.name, file.read_bytes())},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text


def test_the_buttons_start_and_stop_a_training_and_the_bar_shows_it(tmp_path: Path) -> None:
    module = module_folder()
    studies, scratch = tmp_path / "studies", tmp_path / "slicer"
    tiny.write_studies(studies)
    scratch.mkdir()
    conf = {"models": "tiny", "extra_models": tiny.EXTRA_MODELS, "train_threads": 1, "train_nice": 0, "device": "cpu"}
    with live(studies, tmp_path, **conf) as server:
        for image in tiny.PATIENTS[:4]:
            save(server, image, tmp_path)
        command = [sys.executable, str(SCRIPT), str(module), server, "tiny", str(scratch)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        last = httpx.get(f"{server}/train/", timeout=60).json()
    assert not said["errors"], said["errors"][0]
    assert (said["before"], said["running"], said["after"]) == (False, True, False)
    assert said["shown"] == sorted(said["shown"])
    assert all(0 < value <= 100 for value in said["shown"])
    assert "STOPPED" in said["tip"]
    assert last["request"]["epochs"] == 5000  # what was typed into the panel's table
