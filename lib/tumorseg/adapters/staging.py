"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorseg.errors import InputError


def check_new_folder(target: Path) -> None:
    """Refuse a folder that cannot be made, before any work is spent on what should go there.

    Raises:
        InputError: it exists and is not empty, or there is no folder to make it in.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} exists and is not empty; name a new folder, nothing is ever overwritten")
    if not target.absolute().parent.is_dir():
        raise InputError(f"cannot make {target}: the folder {target.parent} does not exist; create it first")
    if not os.access(target.absolute().parent, os.W_OK):
        raise InputError(f"cannot make {target}: no permission to write in {target.parent}")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Give a folder beside ``target`` to fill; it is moved into place when the block ends well, else removed."""
    check_new_folder(target)
    target = target.absolute()
    # Beside it, because a folder is moved in one step only within one file system.
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    draft.mkdir()
    try:
        yield draft
        if target.exists():
            target.rmdir()
        os.replace(draft, target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
