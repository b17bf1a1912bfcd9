"""Versions of weights: published whole or not at all, by several processes at once, and back again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tumorseg.errors import ConflictError, InputError, NotFoundError
from tumorseg.versions import files
from tumorseg.versions.cards import number_of
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import SHIPPED, CaseUsed, VersionCard

CASE = CaseUsed("image1", "patient1", "validation", "uid1", "ab" * 32)


@pytest.fixture
def store(tmp_path: Path) -> VersionStore:
    return VersionStore(tmp_path / "weights")


def _file(folder: Path, content: bytes) -> tuple[Path, str]:
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"sent-{digest[:8]}"
    path.write_bytes(content)
    return path, digest


def _card(store: VersionStore, sha256: str, status: str = "published", **said: Any) -> VersionCard:
    card = VersionCard(
        id=store.new_id("unet", sha256),
        model="unet",
        sha256=sha256,
        made_at="2026-11-21T12:00:00+00:00",
        made_by="ann",
        how="trained",
        parent=store.serving("unet"),
        status="published" if status == "published" else "refused",
    )
    return replace(card, **said)


def _publish(store: VersionStore, content: bytes, **said: Any) -> VersionCard:
    store.root.parent.mkdir(parents=True, exist_ok=True)
    path, digest = _file(store.root.parent, content)
    return store.publish(_card(store, digest, **said), path)


def _old_server(folder: Path, *contents: bytes) -> list[str]:
    """Write what servers of before the versions did."""
    folder.mkdir(parents=True)
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    for digest, content in zip(digests, contents, strict=True):
        (folder / f"{digest}.safetensors").write_bytes(content)
    history = [{"sha256": digest, "who": "bob", "at": 1_700_000_000 + n} for n, digest in enumerate(digests)]
    (folder / "current.json").write_text(json.dumps({"sha256": digests[-1], "history": history}))
    return digests


def test_nothing_published_is_the_shipped_weights(store: VersionStore) -> None:
    assert (store.current("unet"), store.serving("unet"), store.stamp("unet")) == (None, SHIPPED, None)
    assert (store.list("unet"), store.models()) == ([], [])
    with pytest.raises(InputError, match="nothing before"):
        store.before("unet")
    assert not store.root.exists()  # looking makes no folders


def test_a_published_version_serves_and_its_card_says_what_it_was_made_of(store: VersionStore) -> None:
    card = _publish(store, b"one", cases=(CASE,), measured={"dice": {"patient1": 0.5}}, why="published: better")
    assert card.id == f"0001-{card.sha256[:8]}"
    current = store.current("unet")
    assert current is not None
    assert current.read_bytes() == b"one"
    assert store.serving("unet") == card.id
    fresh = VersionStore(store.root)
    assert fresh.get("unet", card.id) == card
    assert fresh.list("unet") == [card]
    assert fresh.models() == ["unet"]


def test_versions_are_listed_newest_first_and_point_to_their_parents(store: VersionStore) -> None:
    ids = [_publish(store, content).id for content in (b"one", b"two", b"three")]
    assert [number_of(version) for version in ids] == [1, 2, 3]
    assert [card.id for card in store.list("unet")] == ids[::-1]
    assert [card.parent for card in store.list("unet")] == [ids[1], ids[0], SHIPPED]


def test_a_refused_version_is_known_and_never_serves(store: VersionStore) -> None:
    first = _publish(store, b"one")
    digest = hashlib.sha256(b"bad").hexdigest()
    bad = store.refuse(_card(store, digest, "refused", why="refused: worse"))
    none = store.refuse(_card(store, "", "refused"))
    assert none.id == "0003-none"
    assert store.serving("unet") == first.id
    assert not list((store.root / "unet").glob(f"{digest}*"))
    with pytest.raises(InputError, match=rf"refused: worse.*there is: {first.id}, shipped"):
        store.rollback("unet", bad.id, "ann")
    with pytest.raises(InputError, match="says published"):
        store.publish(bad, store.root / "none")
    with pytest.raises(InputError, match="says refused"):
        store.refuse(first)


def test_refusing_the_first_candidate_leaves_the_shipped_weights(store: VersionStore) -> None:
    store.refuse(_card(store, "", "refused"))
    assert (store.current("unet"), store.serving("unet"), store.stamp("unet")) == (None, SHIPPED, None)
    assert store.rollback("unet", SHIPPED, "ann") is None


def test_rollback_changes_the_pointer_only_and_is_kept(store: VersionStore) -> None:
    one, two = _publish(store, b"one"), _publish(store, b"two")
    kept = {path.name: path.stat().st_mtime_ns for path in (store.root / "unet").rglob("*.safetensors")}
    assert store.before("unet") == one.id
    assert store.rollback("unet", one.id, "root") == one
    assert store.serving("unet") == one.id
    current = store.current("unet")
    assert current is not None
    assert current.read_bytes() == b"one"
    assert {path.name: path.stat().st_mtime_ns for path in (store.root / "unet").rglob("*.safetensors")} == kept
    assert store.before("unet") == SHIPPED
    assert store.rollback("unet", SHIPPED, "root") is None
    assert (store.current("unet"), store.serving("unet")) == (None, SHIPPED)
    assert store.rollback("unet", two.id, "root") == two
    history = json.loads((store.root / "unet" / "current.json").read_text())["history"]
    assert [(entry["id"], entry["who"], entry["what"]) for entry in history] == [
        (one.id, "ann", "publish"),
        (two.id, "ann", "publish"),
        (one.id, "root", "rollback"),
        (SHIPPED, "root", "rollback"),
        (two.id, "root", "rollback"),
    ]
    assert all(entry["at"] > 1_700_000_000 for entry in history)


def test_rollback_to_what_serves_changes_nothing(store: VersionStore) -> None:
    one = _publish(store, b"one")
    before = store.stamp("unet")
    assert store.rollback("unet", one.id, "ann") == one
    assert store.stamp("unet") == before


def test_rollback_to_the_unknown_the_gone_and_the_damaged_says_what_there_is(store: VersionStore) -> None:
    one, two = _publish(store, b"one"), _publish(store, b"two")
    for unknown in ("0009-12345678", "../../etc", "", "nonsense"):
        with pytest.raises(NotFoundError, match=f"there is: {two.id}, {one.id}, shipped"):
            store.rollback("unet", unknown, "ann")
    path = store.root / "unet" / f"{one.sha256}.safetensors"
    path.write_bytes(b"onx")
    with pytest.raises(InputError, match="gone or damaged"):
        store.rollback("unet", one.id, "ann")
    path.unlink()
    with pytest.raises(InputError, match="gone or damaged"):
        store.rollback("unet", one.id, "ann")
    assert store.serving("unet") == two.id


def test_the_stamp_differs_after_every_change_of_the_pointer(store: VersionStore) -> None:
    stamps = [store.stamp("unet")]
    one = _publish(store, b"one")
    stamps.append(store.stamp("unet"))
    _publish(store, b"two")
    stamps.append(store.stamp("unet"))
    store.rollback("unet", one.id, "ann")
    stamps.append(store.stamp("unet"))
    assert len(set(stamps)) == len(stamps)
    store.refuse(_card(store, "", "refused"))
    assert store.stamp("unet") == stamps[-1]


def test_weights_that_are_not_what_the_card_says_are_not_published(store: VersionStore, tmp_path: Path) -> None:
    path, _ = _file(tmp_path, b"one")
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(InputError, match="got another file"):
        store.publish(_card(store, other), path)
    with pytest.raises(InputError, match="64 hex digits"):
        store.publish(replace(_card(store, other), sha256="../x"), path)
    assert store.serving("unet") == SHIPPED
    assert not list((store.root / "unet").glob("*.safetensors"))
    assert not list((store.root / "unet").rglob(".*.tmp"))


def test_what_was_compared_with_another_version_than_the_serving_one_is_not_published(
    store: VersionStore, tmp_path: Path
) -> None:
    """Somebody uploads weights between the comparison and the publishing."""
    path, digest = _file(tmp_path, b"compared with shipped")
    card = _card(store, digest)
    uploaded = _publish(store, b"uploaded meanwhile")
    with pytest.raises(ConflictError, match=f"{uploaded.id} serves by now"):
        store.publish(card, path, compared=True)
    assert store.list("unet") == [uploaded]
    assert store.serving("unet") == uploaded.id
    again = store.publish(replace(card, parent=uploaded.id), path, compared=True)
    assert store.serving("unet") == again.id
    store.rollback("unet", SHIPPED, "ann")
    other, digest = _file(tmp_path, b"compared with shipped again")
    assert store.publish(_card(store, digest), other, compared=True).parent == SHIPPED


def test_figures_that_json_cannot_hold_are_refused_before_anything_serves(store: VersionStore) -> None:
    with pytest.raises(InputError, match="JSON"):
        _publish(store, b"one", measured={"dice": float("nan")})
    assert store.serving("unet") == SHIPPED


def test_a_damaged_file_of_the_same_weights_is_replaced(store: VersionStore) -> None:
    one = _publish(store, b"one")
    (store.root / "unet" / f"{one.sha256}.safetensors").write_bytes(b"")
    again = _publish(store, b"one")
    current = store.current("unet")
    assert current is not None
    assert current.read_bytes() == b"one"
    assert again.id != one.id


def test_weights_that_are_gone_are_said(store: VersionStore) -> None:
    one = _publish(store, b"one")
    (store.root / "unet" / f"{one.sha256}.safetensors").unlink()
    with pytest.raises(InputError, match="are gone: bring them back from a backup"):
        store.current("unet")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": "../../x", "history": [{"sha256": "../../x"}]}'])
def test_a_damaged_pointer_is_said_and_a_rollback_mends_it(store: VersionStore, text: str) -> None:
    one = _publish(store, b"one")
    (store.root / "unet" / "current.json").write_text(text)
    for ask in (store.current, store.serving):
        with pytest.raises(InputError, match="tumorseg models rollback unet"):
            ask("unet")
    with pytest.raises(InputError, match="damaged"):
        store.publish(one, store.root.parent / f"sent-{one.sha256[:8]}")
    assert store.list("unet") == [one]
    assert store.rollback("unet", one.id, "ann") == one
    assert store.serving("unet") == one.id


def test_a_damaged_card_is_left_out_and_the_others_stay(store: VersionStore, caplog: pytest.LogCaptureFixture) -> None:
    one, two = _publish(store, b"one"), _publish(store, b"two")
    (store.root / "unet" / "cards" / f"{one.id}.json").write_text("{")
    assert [card.id for card in store.list("unet")] == [two.id]
    assert one.id in caplog.text


def test_the_id_of_a_damaged_card_is_not_given_again_so_that_a_backup_can_bring_it_back(store: VersionStore) -> None:
    damaged = store.refuse(_card(store, "", "refused"))
    file = store.root / "unet" / "cards" / f"{damaged.id}.json"
    file.write_text("damaged")
    assert store.refuse(_card(store, "", "refused")).id == "0002-none"
    assert file.read_text() == "damaged"


def test_versions_of_servers_without_cards_are_adopted(store: VersionStore) -> None:
    folder = store.root / "unet"
    first, gone, last = _old_server(folder, b"one", b"gone", b"two")
    (folder / f"{gone}.safetensors").unlink()
    cards = store.list("unet")
    assert [(card.sha256, card.how, card.made_by) for card in cards] == [
        (last, "uploaded", "bob"),
        (first, "uploaded", "bob"),
    ]
    assert [card.parent for card in cards] == [cards[1].id, SHIPPED]
    assert cards[1].made_at == "2023-11-14T22:13:20+00:00"
    assert store.serving("unet") == cards[0].id
    assert not (folder / "cards").exists()  # looking changes nothing
    three = _publish(store, b"three")
    assert three.parent == cards[0].id
    assert number_of(three.id) == 3
    assert store.list("unet") == [three, *cards]
    assert VersionStore(store.root).rollback("unet", cards[1].id, "ann") == cards[1]


def test_an_old_server_that_publishes_after_a_new_one_is_understood(store: VersionStore) -> None:
    one = _publish(store, b"one")
    folder = store.root / "unet"
    said = json.loads((folder / "current.json").read_text())
    digest = hashlib.sha256(b"two").hexdigest()
    (folder / f"{digest}.safetensors").write_bytes(b"two")
    history = [*said["history"], {"sha256": digest, "who": "bob", "at": 1_800_000_000}]
    (folder / "current.json").write_text(json.dumps({"sha256": digest, "history": history}))
    newest = store.list("unet")[0]
    assert (newest.sha256, newest.parent) == (digest, one.id)
    assert store.serving("unet") == newest.id
    assert store.rollback("unet", store.before("unet"), "ann") == one


def test_a_version_is_found_by_what_an_answer_calls_its_weights(store: VersionStore) -> None:
    one, two = _publish(store, b"one"), _publish(store, b"two")
    store.refuse(_card(store, one.sha256, "refused"))
    assert store.by_weights("unet", one.sha256[:12]) == one
    assert store.by_weights("unet", two.sha256[:12]) == two
    assert store.by_weights("unet", "0" * 12) is None
    assert store.by_weights("unet", "") is None


def test_names_that_would_leave_the_folder_are_unknown_models(store: VersionStore) -> None:
    for name in ("../unet", "", ".hidden", "a/b"):
        with pytest.raises(NotFoundError, match="unknown model"):
            store.list(name)


def test_many_at_once_all_get_versions_of_their_own(store: VersionStore) -> None:
    """Each asks for its id before any publishes: all ask for the same number."""
    store.root.parent.mkdir(parents=True, exist_ok=True)
    sent = [_file(store.root.parent, f"weights {number}".encode()) for number in range(8)]
    cards = [_card(store, digest) for _, digest in sent]
    kept: list[VersionCard] = []
    threads = [
        threading.Thread(target=lambda card=card, path=path: kept.append(store.publish(card, path)))
        for card, (path, _) in zip(cards, sent, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(number_of(card.id) for card in kept) == list(range(1, 9))
    assert sorted(card.sha256 for card in store.list("unet")) == sorted(digest for _, digest in sent)
    history = json.loads((store.root / "unet" / "current.json").read_text())["history"]
    assert len(history) == 8
    assert store.serving("unet") == store.list("unet")[0].id


# --- killed at any moment

_PUBLISHES = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import VersionCard

root, file, sha256, until = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls = 0

def killed(event, args):
    # Python's audit events: every file that is opened, renamed or removed passes here.
    global calls
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "fcntl.flock") and str(root) in str(args):
        calls += 1
        if calls == until:
            os.kill(os.getpid(), signal.SIGKILL)

store = VersionStore(root)
card = VersionCard(store.new_id("unet", sha256), "unet", sha256, "2026-11-21T12:00:00+00:00", "ann", "trained",
                   store.serving("unet"), "published")
sys.addaudithook(killed)
store.publish(card, file)
print(calls)
"""


def _run(store: VersionStore, file: Path, sha256: str, until: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", _PUBLISHES, str(store.root), str(file), sha256, str(until)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def _killed_everywhere(tmp_path: Path) -> Iterator[tuple[VersionStore, VersionCard, Path, str]]:
    """Publish the second version in another process, killed at its first step, its second one, and so on."""
    for until in range(1, 100):
        store = VersionStore(tmp_path / str(until) / "weights")
        one = _publish(store, b"one")
        file, digest = _file(store.root.parent, b"two")
        done = _run(store, file, digest, until)
        if done.returncode == 0:
            assert int(done.stdout) == until - 1 > 5
            return
        assert done.returncode == -signal.SIGKILL, done.stderr
        yield store, one, file, digest
    raise AssertionError("it never came to an end")


def test_killed_at_any_moment_the_old_version_serves_or_the_new_one(tmp_path: Path) -> None:
    served = []
    for store, one, file, digest in _killed_everywhere(tmp_path):
        current = store.current("unet")
        assert current is not None
        assert current.read_bytes() in (b"one", b"two")
        served.append(current.read_bytes())
        assert store.get("unet", store.serving("unet")).sha256 == current.stem
        again = store.publish(_card(store, digest), file)  # nothing is locked, and what was half-written goes
        assert store.serving("unet") == again.id
        assert not list((store.root / "unet").rglob(".*.tmp"))
        assert one in store.list("unet")
        if served[-1] == b"one":
            assert [card.id for card in store.list("unet")] == [again.id, one.id]  # no second card of the same
    assert set(served) == {b"one", b"two"}


def test_what_was_cut_off_before_it_served_is_no_version(store: VersionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's version comes in between, and then the job that was cut off is done again."""
    one = _publish(store, b"one")
    with monkeypatch.context() as patched:
        patched.setattr("tumorseg.versions.store.write_pointer", _killed)
        with pytest.raises(_Killed):
            _publish(store, b"two", measured={"job": "j"})
    assert store.list("unet") == [one]
    digest = hashlib.sha256(b"two").hexdigest()
    assert store.by_weights("unet", digest[:12]) is None
    with pytest.raises(NotFoundError, match=f"there is: {one.id}, shipped"):
        store.rollback("unet", f"0002-{digest[:8]}", "ann")
    between = _publish(store, b"between")
    again = _publish(store, b"two", measured={"job": "j"})
    assert store.list("unet") == [again, between, one]
    assert again.parent == between.id


def test_what_was_cut_off_after_it_served_is_one(store: VersionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    one = _publish(store, b"one")
    with monkeypatch.context() as patched:
        patched.setattr("tumorseg.versions.store.confirm_card", _killed)
        with pytest.raises(_Killed):
            _publish(store, b"two")
    two = store.get("unet", store.serving("unet"))
    assert store.list("unet") == [two, one]
    (store.root / "unet" / "current.json").write_text("damaged")
    assert store.list("unet") == [two, one], "who cannot tell leaves none out"
    assert store.rollback("unet", two.id, "ann") == two
    three = _publish(store, b"three")
    assert store.list("unet") == [three, two, one]
    assert not list((store.root / "unet").rglob("*.announced"))


class _Killed(BaseException):
    """The process ends here."""


def _killed(*_: object) -> None:
    raise _Killed


def test_another_user_may_hold_the_lock_file(tmp_path: Path) -> None:
    """The lock is taken on a file that may be somebody else's, not to be written."""
    with files.alone(tmp_path):
        pass
    os.chmod(tmp_path / ".lock", 0o444)
    with files.alone(tmp_path):
        pass
