"""How many sessions there may be, whose they are, and when they go."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tumorseg.access.types import LOCAL, Principal, Role
from tumorseg.errors import NotFoundError, UnavailableError
from tumorseg.server import session_store
from tumorseg.server.session_store import Room, SessionStore

ANN, BOB = Principal("ann", Role.ANNOTATOR, "token"), Principal("bob", Role.ANNOTATOR, "token")
ROOT = Principal("root", Role.ADMIN, "token")


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "sessions", Room(sessions=8, size=10_000))


def _add(store: SessionStore, owner: Principal = ANN, size: int = 10, files: int = 1, expiry: int = 0) -> str:
    draft = store.root.parent / f"draft-{time.monotonic_ns()}"
    draft.mkdir(parents=True)
    for number in range(files):
        (draft / f"{number:05d}.dcm").write_bytes(bytes(size))
    return str(store.add(draft, owner.name, expiry)["name"])


def _is_there(store: SessionStore, session: str, who: Principal = ROOT) -> bool:
    try:
        store.describe(session, who)
    except NotFoundError:
        return False
    return True


def _age(store: SessionStore, session: str, seconds: float) -> None:
    meta = store.root / session / "session.json"
    said = json.loads(meta.read_text())
    meta.write_text(json.dumps({**said, "used": said["used"] - seconds}))


def test_only_the_owner_and_an_administrator_see_a_session(store: SessionStore) -> None:
    session = _add(store, ANN)
    assert _is_there(store, session, ANN)
    assert _is_there(store, session, ROOT)
    assert _is_there(store, session, LOCAL)
    assert not _is_there(store, session, BOB)
    with pytest.raises(NotFoundError), store.image(session, BOB):
        pass
    with pytest.raises(NotFoundError):
        store.remove(session, BOB)
    assert _is_there(store, session, ANN)


def test_one_person_has_a_share_and_the_oldest_makes_way(store: SessionStore) -> None:
    mine = []
    for _ in range(3):
        mine.append(_add(store, ANN))
        for session in mine[:-1]:
            if _is_there(store, session):
                _age(store, session, 10)
    assert [_is_there(store, session) for session in mine] == [False, True, True]


def test_others_are_never_made_to_go(store: SessionStore) -> None:
    people = [Principal(name, Role.ANNOTATOR, "token") for name in "abcdefgh"]
    theirs = [_add(store, person) for person in people]
    with pytest.raises(UnavailableError, match="no room"):
        _add(store, ANN)
    assert all(_is_there(store, session) for session in theirs)
    _age(store, theirs[0], 4000)
    assert _is_there(store, _add(store, ANN))
    assert not _is_there(store, theirs[0])


def test_their_size_is_bounded(store: SessionStore) -> None:
    first = _add(store, ANN, 6000)
    second = _add(store, ANN, 6000)
    assert (_is_there(store, first), _is_there(store, second)) == (False, True)
    with pytest.raises(UnavailableError):
        _add(store, BOB, 6000)
    assert _is_there(store, second)


def test_what_is_in_use_stays_until_it_is_not(store: SessionStore) -> None:
    session = _add(store, ANN, files=3)
    with store.image(session, ANN) as folder:
        _age(store, session, 4000)
        store.sweep()
        assert len(list(folder.iterdir())) == 3
        store.remove(session, ANN)
        assert len(list(folder.iterdir())) == 3
        assert not _is_there(store, session)
        with store.image(other := _add(store, ANN), ANN) as file:
            assert file.is_file()
    assert not folder.exists()
    assert _is_there(store, other)


def test_expired_ones_go_by_themselves(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_store, "SWEEP_EVERY_S", 0.02)
    short, long = _add(store, ANN, expiry=1), _add(store, BOB, expiry=99999)
    store.start()
    try:
        _age(store, short, 2)
        end = time.monotonic() + 10
        while (store.root / short).exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert not (store.root / short).exists()
        assert store.describe(long, BOB)["expiry"] == session_store.MAX_AGE_S
    finally:
        store.stop()


def test_stale_and_broken_ones_go_at_the_start_and_good_ones_stay(store: SessionStore) -> None:
    good, stale, broken = _add(store, ANN), _add(store, BOB), _add(store, ROOT)
    _age(store, stale, 4000)
    (store.root / broken / "session.json").write_text("{")
    again = SessionStore(store.root, store.room)
    assert sorted(path.name for path in store.root.iterdir()) == [good]
    assert _is_there(again, good, ANN)


@pytest.mark.parametrize("session", ["", "..", "../x", "x" * 32, "0" * 32, "0" * 31 + "/", "0" * 32 + "\n"])
def test_what_is_no_id_is_unknown(session: str, store: SessionStore) -> None:
    with pytest.raises(NotFoundError):
        store.describe(session, ROOT)
