"""Names for images that say nothing of a patient."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tumorseg.audit.log import AuditError, AuditLog
from tumorseg.audit.pseudonym import load_key, looks_like_uid, pseudonym
from tumorseg.errors import UnavailableError


def test_the_key_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    key = load_key(tmp_path / "state" / "audit.key")
    assert load_key(tmp_path / "state" / "audit.key") == key
    assert len(key) == 32
    assert stat.S_IMODE((tmp_path / "state" / "audit.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["audit.key"]


def test_a_damaged_key_is_not_replaced_silently(tmp_path: Path) -> None:
    (tmp_path / "audit.key").write_bytes(b"short")
    with pytest.raises(UnavailableError, match="restore it"):
        load_key(tmp_path / "audit.key")
    with pytest.raises(UnavailableError):
        AuditLog(tmp_path).record("ann", "annotator", "label.save", "case1")
    assert issubclass(AuditError, UnavailableError)


def test_without_the_key_a_name_cannot_be_tried(tmp_path: Path) -> None:
    assert pseudonym("DOE", b"1" * 32) != pseudonym("DOE", b"2" * 32)
    assert pseudonym("DOE", b"1" * 32) == pseudonym("DOE", b"1" * 32)
    assert pseudonym("\udcff", b"1" * 32).startswith("id:")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("1.2.840.10008.1.2", True),
        ("19650312", False),
        ("1.2", False),
        ("1.2.3.4.", False),
        ("1.2.3." + "4" * 60, False),
        ("case1", False),
    ],
)
def test_what_looks_like_a_uid(image: str, expected: bool) -> None:
    assert looks_like_uid(image) is expected
