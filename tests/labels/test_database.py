"""The index: several processes, tables of others, files that are replaced, gone, damaged or of another time."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tumorseg.errors import StorageError
from tumorseg.labels.database import Database

TABLE = "CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL);"
ADD = "INSERT INTO notes VALUES (?)"


def replace_file(path: Path, new: Path) -> None:
    """Put another index in the place of one, as restoring does: the log of the old one goes first."""
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    os.replace(new, path)


def notes(database: Database) -> list[str]:
    return [row["text"] for row in database.rows("SELECT text FROM notes ORDER BY rowid")]


def opened(path: Path) -> Database:
    database = Database(path)
    database.ensure("notes", TABLE)
    return database


def add(database: Database, text: str) -> None:
    with database.transaction() as connection:
        connection.execute(ADD, (text,))


def test_reading_makes_no_file(tmp_path: Path) -> None:
    database = opened(tmp_path / "folder" / "index.sqlite")
    assert database.rows("SELECT 1") == []
    assert not (tmp_path / "folder").exists()


def test_a_commit_is_on_the_disk_before_it_returns(tmp_path: Path) -> None:
    database = opened(tmp_path / "index.sqlite")
    with database.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    database = opened(tmp_path / "index.sqlite")

    def fail() -> None:
        with database.transaction() as connection:
            connection.execute(ADD, ("half",))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert notes(database) == []
    add(database, "whole")
    assert notes(database) == ["whole"]


def test_a_transaction_within_another_is_part_of_it(tmp_path: Path) -> None:
    database = opened(tmp_path / "index.sqlite")
    with database.transaction() as outer, database.transaction() as inner:
        assert inner is outer
        inner.execute(ADD, ("one",))
    assert notes(database) == ["one"]


def test_every_thread_has_a_connection_of_its_own(tmp_path: Path) -> None:
    database, seen = opened(tmp_path / "index.sqlite"), []

    def write(number: int) -> None:
        with database.transaction() as connection:
            seen.append(connection)
            connection.execute(ADD, (str(number),))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, seen))) == 8
    assert sorted(notes(database)) == [str(number) for number in range(8)]


def test_tables_of_others_come_to_a_file_that_takes_the_place(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    database = opened(path)
    add(database, "before")
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as connection:
        connection.execute("CREATE TABLE other (x)")
    replace_file(path, tmp_path / "new.sqlite")
    assert notes(database) == []
    database.ensure("later", "CREATE TABLE IF NOT EXISTS later (x);")
    assert database.rows("SELECT * FROM later") == []


def test_a_file_that_is_gone_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    database = opened(folder / "index.sqlite")
    add(database, "kept")
    folder.rename(tmp_path / "away")
    for use in (lambda: notes(database), lambda: add(database, "lost"), database.is_there):
        with pytest.raises(StorageError, match="is gone") as caught:
            use()
        assert caught.value.status == 503
    assert not folder.exists()
    (tmp_path / "away").rename(folder)
    add(database, "after")
    assert notes(database) == ["kept", "after"]


def test_a_file_that_is_replaced_during_a_transaction_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    database = opened(path)
    add(database, "kept")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(tmp_path / "copy")) as copy:
        source.backup(copy)

    def write() -> None:
        with database.transaction() as connection:
            connection.execute(ADD, ("unsure",))
            replace_file(path, tmp_path / "copy")

    with pytest.raises(StorageError, match="replaced"):
        write()
    assert notes(database) == ["kept"]


def test_a_file_that_is_put_over_the_index_is_not_mixed_with_the_log_of_before(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    copy = opened(tmp_path / "copy")
    add(copy, "of the copy")
    copy.close()
    database = opened(path)
    add(database, "of before")
    os.replace(tmp_path / "copy", path)
    for _ in range(2):
        with pytest.raises(StorageError, match="sqlite-wal"):
            notes(database)
    for ending in ("-wal", "-shm"):
        (tmp_path / f"index.sqlite{ending}").unlink()
    assert notes(database) == ["of the copy"]


def test_a_damaged_file_says_so_and_a_mended_one_is_used(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    database = opened(path)
    add(database, "kept")
    database.close()
    shutil.copy(path, tmp_path / "good")
    (tmp_path / "bad").write_bytes(b"no database" * 1000)
    replace_file(path, tmp_path / "bad")
    for _ in range(2):
        with pytest.raises(StorageError, match="damaged: run tumorseg fsck"):
            notes(database)
    replace_file(path, tmp_path / "good")
    assert notes(database) == ["kept"]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    newer = Database(tmp_path / "index.sqlite", (TABLE, "CREATE TABLE more (x);"))
    add(newer, "kept")
    with pytest.raises(StorageError, match="newer tumorseg"):
        notes(Database(tmp_path / "index.sqlite", (TABLE,)))


def test_an_older_file_is_brought_up_to_date_once(tmp_path: Path) -> None:
    add(Database(tmp_path / "index.sqlite", (TABLE,)), "kept")
    migrations = (TABLE, "ALTER TABLE notes ADD COLUMN who TEXT;\nUPDATE notes SET who = 'nobody';")
    for _ in range(2):
        database = Database(tmp_path / "index.sqlite", migrations)
        assert [tuple(row) for row in database.rows("SELECT * FROM notes")] == [("kept", "nobody")]
        assert database.rows("PRAGMA user_version")[0][0] == 2


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    add(Database(tmp_path / "index.sqlite", (TABLE,)), "kept")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        notes(Database(tmp_path / "index.sqlite", (TABLE, "CREATE TABLE more (x);\nINSERT INTO missing VALUES (1);")))
    database = Database(tmp_path / "index.sqlite", (TABLE,))
    assert [row[0] for row in database.rows("SELECT name FROM sqlite_master WHERE name = 'more'")] == []
    assert notes(database) == ["kept"]


def test_threads_that_open_a_new_file_together_agree(tmp_path: Path) -> None:
    databases = [opened(tmp_path / "index.sqlite") for _ in range(6)]
    start, failed = threading.Barrier(len(databases)), []

    def write(database: Database) -> None:
        start.wait()
        try:
            add(database, "x")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(notes(databases[0])) == len(databases)
