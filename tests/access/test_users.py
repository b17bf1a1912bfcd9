"""People, their tokens and sign-ins: what counts, what ends it, and what lies on the disk."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.access.test_oidc import Clock
from tumorseg.access import secret
from tumorseg.access.database import FILE, Database
from tumorseg.access.sign_ins import SignIns
from tumorseg.access.types import Principal, Role
from tumorseg.access.users import Users
from tumorseg.errors import InputError, NotFoundError, UnavailableError

PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(tmp_path: Path, clock: Clock) -> Users:
    return Users(tmp_path / "state", clock)


def test_looking_makes_no_file(users: Users) -> None:
    assert users.count() == 0
    assert users.all() == []
    assert users.by_token(secret.personal().text) is None
    assert not users.database.path.parent.exists()


def test_only_the_owner_reads_the_files(users: Users) -> None:
    users.add("ann", Role.ADMIN)
    users.new_token("ann")
    folder = users.database.path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    users.database.path.chmod(0o644)
    Users(folder).count()
    assert stat.S_IMODE(users.database.path.stat().st_mode) == 0o600


def test_no_token_and_no_password_lies_on_the_disk(users: Users) -> None:
    users.add("ann", Role.ADMIN, PASSWORD)
    token = users.new_token("ann").text
    session = SignIns(users.database).open(Principal("ann", Role.ADMIN, "token"), 60, user="ann")
    kept = b"".join(path.read_bytes() for path in users.database.path.parent.iterdir())
    assert b"ann" in kept
    for text in (PASSWORD, token, token.rpartition("_")[2], session):
        assert text.encode() not in kept
    assert token not in repr(users.new_token("ann")) + repr(users.get("ann"))
    assert "argon2" not in repr(users.get("ann"))


def test_a_token_counts_until_it_is_over(users: Users, clock: Clock) -> None:
    users.add("ann", Role.REVIEWER)
    for_ever, week = users.new_token("ann"), users.new_token("ann", days=7)
    found = users.by_token(for_ever.text)
    assert found is not None
    assert (found[0].name, found[0].role) == ("ann", Role.REVIEWER)
    assert users.by_token(week.text) is not None
    clock.now += 7 * 86400
    assert users.by_token(week.text) is None
    assert users.by_token(for_ever.text) is not None


@pytest.mark.parametrize("change", ["last", "prefix", "case", "empty", "long", "nul"])
def test_what_is_almost_a_token(users: Users, change: str) -> None:
    users.add("ann", Role.ADMIN)
    text = users.new_token("ann").text
    other = {
        "last": text[:-1] + ("A" if text[-1] != "A" else "B"),
        "prefix": text.replace(text[5:17], secret.personal().prefix),
        "case": text.swapcase(),
        "empty": "",
        "long": text + "A",
        "nul": text + "\0",
    }[change]
    assert users.by_token(other) is None


def test_revoking_disabling_removing_count_at_once_also_from_another_process(users: Users) -> None:
    users.add("root", Role.ADMIN)
    elsewhere = Users(users.database.path.parent)
    users.add("ann", Role.ANNOTATOR)
    one, two = users.new_token("ann"), users.new_token("ann")
    assert elsewhere.revoke("ann", one.prefix) == 1
    assert users.by_token(one.text) is None
    assert users.by_token(two.text) is not None
    elsewhere.set_role("ann", Role.VIEWER)
    found = users.by_token(two.text)
    assert found is not None
    assert found[0].role is Role.VIEWER
    elsewhere.set_active("ann", False)
    assert users.by_token(two.text) is None
    elsewhere.set_active("ann", True)
    assert users.by_token(two.text) is not None
    elsewhere.remove("ann")
    assert users.by_token(two.text) is None
    assert users.tokens("ann") == []
    with pytest.raises(NotFoundError):
        users.revoke("root", one.prefix)


def test_a_sign_in_ends_with_what_it_stands_for(users: Users, clock: Clock) -> None:
    signs = SignIns(users.database, clock)
    users.add("root", Role.ADMIN)
    users.add("ann", Role.ANNOTATOR, PASSWORD)
    who = Principal("ann", Role.ANNOTATOR, "token")

    def opened(token: int | None = None) -> str:
        text = signs.open(who, 3600, user="ann", token=token)
        assert signs.find(text, "cookie") == Principal("ann", Role.ANNOTATOR, "cookie")
        return text

    closed, aged, changed, disabled = opened(), opened(), opened(), opened()
    signs.close(closed)
    assert signs.find(closed, "cookie") is None
    users.set_role("ann", Role.REVIEWER)
    found = signs.find(changed, "cookie")
    assert found is not None
    assert found.role is Role.REVIEWER  # looked up anew
    users.set_role("ann", Role.ANNOTATOR)
    clock.now += 3600
    assert signs.find(aged, "cookie") is None
    changed = opened()
    users.set_password("ann", PASSWORD + "!")
    assert signs.find(changed, "cookie") is None
    disabled = opened()
    users.set_active("ann", False)
    assert signs.find(disabled, "cookie") is None
    users.set_active("ann", True)
    made = users.new_token("ann")
    by_token = users.by_token(made.text)
    assert by_token is not None
    revoked = opened(by_token[1].id)
    users.revoke("ann", made.prefix)
    assert signs.find(revoked, "cookie") is None
    removed = opened()
    users.remove("ann")
    assert signs.find(removed, "cookie") is None


def test_the_last_administrator_stays_unless_said_so(users: Users) -> None:
    users.add("root", Role.ADMIN)
    users.add("ann", Role.VIEWER)
    for change in (
        lambda: users.remove("root"),
        lambda: users.set_active("root", False),
        lambda: users.set_role("ROOT", Role.VIEWER),
    ):
        with pytest.raises(InputError, match="last administrator"):
            change()
        assert users.get("root").role is Role.ADMIN
        assert users.get("root").active
    users.remove("ann")
    users.add("second", Role.ADMIN)
    users.remove("root")
    users.remove("second", force=True)
    assert users.all() == []


@pytest.mark.parametrize(
    "name", ["", "../ann", "a/b", "ann smith", "-ann", "local", "LOCAL", "consensus", "unknown", "a" * 65, "änn", "a\n"]
)
def test_names_are_plain(users: Users, name: str) -> None:
    with pytest.raises(InputError, match="expected a name"):
        users.add(name, Role.VIEWER)


def test_one_name_is_one_person(users: Users) -> None:
    users.add("Ann", Role.VIEWER)
    with pytest.raises(InputError, match="already"):
        users.add("aNN", Role.ADMIN)
    assert users.get("ann").name == "Ann"
    with pytest.raises(NotFoundError, match="Ann"):
        users.get("bob")


def test_short_passwords_and_odd_days_are_refused(users: Users) -> None:
    with pytest.raises(InputError, match="12"):
        users.add("ann", Role.VIEWER, "short")
    assert users.find("ann") is None
    users.add("ann", Role.VIEWER)
    with pytest.raises(InputError, match="days"):
        users.new_token("ann", days=0)


def test_when_a_token_was_used_is_kept_to_the_hour(users: Users, clock: Clock) -> None:
    users.add("ann", Role.VIEWER)
    text = users.new_token("ann").text
    for later, used in ((0, 1000), (1800, 1000), (1800, 4600)):
        clock.now += later
        found = users.by_token(text)
        assert found is not None
        users.note_use(found[1])
        assert users.tokens("ann")[0].used == used


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, " * 500)
    with pytest.raises(UnavailableError, match="cannot be read"):
        Users(tmp_path).count()


def test_a_file_of_a_newer_release_is_left_as_it_is(users: Users) -> None:
    users.add("ann", Role.ADMIN)
    connection = sqlite3.connect(users.database.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UnavailableError, match="newer tumorseg"):
        Users(users.database.path.parent).count()


def test_a_file_that_was_replaced_is_read_anew(users: Users, tmp_path: Path) -> None:
    users.add("ann", Role.ADMIN)
    token = users.new_token("ann").text
    other = Users(tmp_path / "other")
    other.add("bob", Role.ADMIN)
    sqlite3.connect(other.database.path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    for part in ("-wal", "-shm"):
        users.database.path.with_name(FILE + part).unlink(missing_ok=True)
    other.database.path.rename(users.database.path)
    assert users.by_token(token) is None
    assert [user.name for user in users.all()] == ["bob"]


def test_a_transaction_is_all_or_nothing(users: Users) -> None:
    users.add("ann", Role.ADMIN)
    database = Database(users.database.path.parent)

    def break_off() -> None:
        with database.transaction() as change:
            change.execute("DELETE FROM users")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert users.count() == 1


def test_what_another_process_changes_is_seen_by_every_thread(users: Users) -> None:
    """Trap: closing a handle of the file drops the process's locks on it, and another one takes the log away."""
    users.add("ann", Role.VIEWER)
    folder = users.database.path.parent
    disable = (
        "import sys; from pathlib import Path; from tumorseg.access.users import Users; "
        "Users(Path(sys.argv[1])).set_active('ann', sys.argv[2] == 'yes')"
    )
    for number in range(3):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(users.count).result()  # a connection more in this process
        for active in (False, True):
            words = [sys.executable, "-c", disable, str(folder), "yes" if active else "no"]
            subprocess.run(words, check=True, timeout=60)
            assert users.get("ann").active is active, number
