"""A disk that turns read-only: what is there is shown, what is sent is refused, until the disk is back."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.dicom.phantoms import GRIDS
from tests.faults.machine import Machine, answers_as_labels, machine, refused, require_loop_devices, write_studies

GRID = GRIDS["axial"]
_TMPFS = "-t tmpfs -o size=16m tmpfs"


def test_a_folder_mounted_read_only_over_a_running_server(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", GRID)
    folder = tmp_path / "labels"
    with machine(tmp_path / "studies", tmp_path, {folder: _TMPFS}) as server:
        first, second = answers_as_labels(server, "case0", 2)
        assert server.save("case0", first).status_code == 200
        server.run(f"mount --bind '{folder}' '{folder}' && mount -o remount,bind,ro '{folder}'")
        for _ in range(3):
            refused(server.save("case0", second), 503, says=("read-only",))
            _shows(server, first)
        # Many threads of the server open the index now; none may keep what it opened when the disk is writable again.
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: _shows(server, first), range(64)))
        server.run(f"mount -o remount,bind,rw '{folder}'")
        with ThreadPoolExecutor(16) as pool:
            for saved in pool.map(lambda _: server.save("case0", second), range(32)):
                assert saved.status_code == 200, saved.text
        _shows(server, second)


def test_a_server_that_starts_on_a_read_only_disk(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", GRID)
    folder = tmp_path / "labels"
    with machine(tmp_path / "studies", tmp_path) as server:
        first, second = answers_as_labels(server, "case0", 2)
        assert server.save("case0", first).status_code == 200
    with machine(tmp_path / "studies", tmp_path, {folder: f"--bind -o ro '{folder}'"}) as server:
        refused(server.save("case0", second), 503, says=("read-only",))
        _shows(server, first)
        server.run(f"mount -o remount,bind,rw '{folder}'")
        saved = server.save("case0", second)
        assert saved.status_code == 200, saved.text
        _shows(server, second)


def test_a_disk_that_fails_under_open_files_and_is_replaced(tmp_path: Path) -> None:
    """ext4 goes read-only by itself when it meets an error; ``remount,abort`` is its own way to try that."""
    require_loop_devices()
    write_studies(tmp_path / "studies", GRID)
    folder, disk, copy = tmp_path / "labels", tmp_path / "disk.img", tmp_path / "copy.img"
    with disk.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    disks = {folder: f"-o loop,errors=remount-ro '{disk}'"}
    with machine(tmp_path / "studies", tmp_path, disks) as server:
        first, second = answers_as_labels(server, "case0", 2)
        assert server.save("case0", first).status_code == 200
        server.run(f"mount -o remount,abort '{folder}'")
        for _ in range(3):
            refused(server.save("case0", second), 503, says=("disk",))
            _shows(server, first)
        shutil.copyfile(disk, copy)
        # 1: errors were corrected, which is what it is for.
        assert subprocess.run(["e2fsck", "-fy", str(copy)], capture_output=True).returncode in (0, 1)
        server.run(f"umount --lazy '{folder}' && mount -o loop '{copy}' '{folder}'")
        assert server.save("case0", second).status_code == 200
        _shows(server, second)


def test_a_read_only_studies_folder_is_served(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", GRID)
    studies = tmp_path / "studies"
    with machine(studies, tmp_path, {studies: f"--bind -o ro '{studies}'"}) as server:
        (label,) = answers_as_labels(server, "case0", 1)
        assert server.save("case0", label).status_code == 200
        new = {"file": ("new.nii.gz", (studies / "case0.nii.gz").read_bytes())}
        refused(server.ask("PUT", "/datastore/image", params={"image": "new"}, files=new), 503, says=("read-only",))
        _shows(server, label)


def _shows(server: Machine, label: bytes) -> None:
    """Check that the server is well and shows a label as it was sent."""
    server.is_well()
    assert server.label("case0").content == label
    assert server.infer("case1").status_code == 200
