"""What was clicked stays with the label: in backups, after a lost index, and never changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.labels.made import ANNA, label
from tumorseg.labels.backup import back_up, bring_back
from tumorseg.labels.fsck import examine
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.prompt_logs import PROMPTS_FOLDER, PromptLogs
from tumorseg.labels.types import LabelVersion

TEXT = '{"schema": 1, "segments": []}'


@pytest.fixture
def history(tmp_path: Path) -> LabelHistory:
    return LabelHistory(tmp_path / "labels")


def saved(history: LabelHistory, tmp_path: Path) -> LabelVersion:
    return history.save("case", "final", label(tmp_path / "drawn.nii.gz"), ANNA)


def test_a_log_is_kept_once_and_read_back(history: LabelHistory, tmp_path: Path) -> None:
    logs, version = PromptLogs(history.database), saved(history, tmp_path)
    assert logs.of(version.uid) is None
    logs.keep(version.uid, TEXT)
    logs.keep(version.uid, "{}")
    assert logs.of(version.uid) == TEXT
    assert logs.known([version.uid, "0" * 32]) == {version.uid}
    assert (history.folder / PROMPTS_FOLDER / f"{version.uid}.prompts.json").read_text() == TEXT


def test_it_cannot_be_changed_or_deleted(history: LabelHistory, tmp_path: Path) -> None:
    logs, version = PromptLogs(history.database), saved(history, tmp_path)
    logs.keep(version.uid, TEXT)
    for sql in ("UPDATE prompt_logs SET text = ''", "DELETE FROM prompt_logs"):
        with pytest.raises(sqlite3.IntegrityError, match="never"), history.database.transaction() as connection:
            connection.execute(sql)
    assert logs.of(version.uid) == TEXT


def test_logs_outlive_a_lost_index(history: LabelHistory, tmp_path: Path) -> None:
    logs, version = PromptLogs(history.database), saved(history, tmp_path)
    logs.keep(version.uid, TEXT)
    history.close()
    for path in history.folder.glob("index.sqlite*"):
        path.unlink()
    (history.folder / PROMPTS_FOLDER / f"{'1' * 32}.prompts.json").write_text("damaged")
    assert examine(history.root, repair=True).unsolved == ()
    anew = PromptLogs(LabelHistory(history.root).database)
    assert anew.of(version.uid) == TEXT
    assert anew.of("1" * 32) is None
    assert anew.recover() == 0


def test_logs_are_in_every_backup_and_come_back_with_it(history: LabelHistory, tmp_path: Path) -> None:
    version = saved(history, tmp_path)
    PromptLogs(history.database).keep(version.uid, TEXT)
    back_up(history.root, tmp_path / "backup")
    history.close()
    for path in sorted(history.root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    bring_back(history.root, tmp_path / "backup")
    assert PromptLogs(LabelHistory(history.root).database).of(version.uid) == TEXT


def test_looking_makes_no_database(tmp_path: Path) -> None:
    history = LabelHistory(tmp_path / "none")
    assert PromptLogs(history.database).of("0" * 32) is None
    assert not (tmp_path / "none").exists()
