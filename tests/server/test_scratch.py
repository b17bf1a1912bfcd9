"""The temporary folder of a server, whatever becomes of the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tumorseg.errors import UnavailableError
from tumorseg.server.scratch import Scratch

_SERVER = """
import sys, time
from pathlib import Path
from tumorseg.server.scratch import Scratch
folder = Scratch(Path(sys.argv[1])).new_folder()
(folder / "upload").write_text("x")
print(folder, flush=True)
time.sleep(600)
"""


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "incoming")
    assert not (tmp_path / "incoming").exists()
    with scratch.lent() as folder:
        (folder / "file").write_text("x")
        assert not list(scratch.new_folder().iterdir())
    assert not folder.exists()
    scratch.close()
    assert not list((tmp_path / "incoming").iterdir())


def test_a_killed_server_is_tidied_up_after_and_a_running_one_is_left_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SERVER, str(tmp_path / "incoming")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        folders = [Path(process.stdout.readline().strip()) for process in processes if process.stdout]
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        assert all((folder / "upload").is_file() for folder in folders)
        Scratch(tmp_path / "incoming")
        assert not folders[0].parent.exists()
        assert (folders[1] / "upload").is_file()
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_folder_that_is_removed_is_made_again(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "incoming")
    scratch.new_folder().rmdir()
    scratch.folder.rmdir()
    assert scratch.new_folder().is_dir()
    scratch.close()


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnavailableError, match="cannot keep what was sent"):
        Scratch(tmp_path / "file" / "incoming").new_folder()
    assert os.path.isfile(tmp_path / "file")
