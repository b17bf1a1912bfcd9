from __future__ import annotations

import os
from pathlib import Path

import pytest

from tumorseg.adapters.jobs.log import LineWriter, Log, read, without_secrets


def test_every_line_has_its_time(tmp_path: Path) -> None:
    Log(tmp_path / "log.txt").line("one\ntwo")
    lines = read(tmp_path / "log.txt")
    assert [line[20:] for line in lines] == ["one", "two"]
    assert all(line[4] == "-" and line[13] == ":" for line in lines)
    assert read(tmp_path / "log.txt", 1) == lines[1:]
    assert read(tmp_path / "log.txt", 0) == []
    assert read(tmp_path / "none.txt") == []


@pytest.mark.parametrize("last", [0, 1, 7, 300, 5000, 6000])
def test_the_last_lines_of_a_long_log(tmp_path: Path, last: int) -> None:
    lines = [f"{number} " + "x" * (number % 90) for number in range(5000)]
    for end in ("\n", ""):
        (tmp_path / "log.txt").write_text("\n".join(lines) + end)
        assert read(tmp_path / "log.txt", last) == lines[max(5000 - last, 0) :]


def test_it_stays_small_and_keeps_its_beginning_and_end(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.txt", limit=10_000)
    for number in range(2000):
        log.line(f"line {number}")
    lines = read(log.path)
    assert log.path.stat().st_size <= 10_000 + 100
    assert lines[0].endswith("line 0")
    assert lines[-1].endswith("line 1999")
    assert sum("dropped" in line for line in lines) == 1
    assert all(" line " in line or "dropped" in line for line in lines)  # none is cut
    assert os.listdir(tmp_path) == ["log.txt"]


def test_what_writes_past_it_follows_when_the_file_is_replaced(tmp_path: Path) -> None:
    """Standard output of a process: what C code prints must not go to a file that is gone."""
    path = tmp_path / "log.txt"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, b"raw\n" * 5000)
        Log(path, limit=10_000, also=(descriptor,)).trim()
        assert path.stat().st_size <= 10_000
        os.write(descriptor, b"the last words\n")
    finally:
        os.close(descriptor)
    assert read(path)[-1] == "the last words"


def test_a_full_disk_does_not_stop_the_work(tmp_path: Path) -> None:
    Log(tmp_path / "no such folder" / "log.txt").line("said to nobody")
    assert not list(tmp_path.iterdir())


def test_an_endless_line_is_cut(tmp_path: Path) -> None:
    Log(tmp_path / "log.txt").line("x" * 10_000_000)
    assert (tmp_path / "log.txt").stat().st_size < 10_000


def test_bytes_that_are_no_text_are_read(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"\xff\xfe from C\nnext\n")
    assert read(tmp_path / "log.txt")[1] == "next"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET http://anna:p%40ss@pacs/rs failed", "GET http://***@pacs/rs failed"),
        ("https://token@pacs:8042/rs?x=1", "https://***@pacs:8042/rs?x=1"),
        ("http://pacs/rs asked anna@site.org", "http://pacs/rs asked anna@site.org"),
        ("a // comment, mail anna@site.org", "a // comment, mail anna@site.org"),
    ],
)
def test_passwords_in_addresses_are_taken_out(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


def test_of_a_progress_bar_only_the_end_is_kept() -> None:
    lines: list[str] = []
    writer = LineWriter(lines.append, 2)
    for percent in range(101):
        writer.write(f"\r{percent}%")
    assert lines == []
    writer.write("\nhalf")
    writer.write(" a line\r\n\n")
    writer.write("no end")
    assert lines == ["100%", "half a line"]
    writer.end()
    assert lines[-1] == "no end"
    assert (writer.fileno(), writer.writable(), writer.isatty()) == (2, True, False)
