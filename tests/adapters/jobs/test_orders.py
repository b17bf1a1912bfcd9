from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tumorseg.adapters.jobs import orders
from tumorseg.config import AppConfig


@pytest.mark.parametrize(
    "config",
    [
        AppConfig("http://anna:secret@pacs/rs"),
        AppConfig(
            str(Path("studies").resolve()),
            models=("threshold",),
            default_model="threshold",
            extra_models={"threshold": "tests.support:build_threshold"},
            label_classes={"tumor": 1, "oedema": None},
            labels=Path("labels").resolve(),
            behind_proxy=("10.1.2.3",),
            prewarm=False,
            upload_timeout_s=2.5,
            oidc_issuer="https://sign.in",
            oidc_audience="us",
            oidc_roles={},
            train_minutes=0.5,
            train_memory_mb=0,
        ),
    ],
)
def test_the_process_has_the_servers_configuration_whatever_its_environment_says(
    config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUMORSEG_PORT", "1")
    monkeypatch.setenv("TUMORSEG_OIDC_CLIENT_ID", "somebody")
    line = orders.encode(config)
    assert line.count(b"\n") == 1
    assert orders.read(io.BytesIO(line)) == (config, os.getpid())


def test_a_sites_own_modules_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sites_own_module.py").write_text("NAME = 'found'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # how an interactive Python names the folder it was started in
    environment = {**os.environ, "PYTHONPATH": orders.import_paths()}
    program = [sys.executable, "-P", "-c", "import sites_own_module, tumorseg; print(sites_own_module.NAME)"]
    done = subprocess.run(program, env=environment, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "found\n"
