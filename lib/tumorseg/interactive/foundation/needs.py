"""What a foundation model needs of whoever wants it: its weights, and its package.

MONAI Label fetches SAM 2's weights from the network in the constructor of its task, and does not start without a
network. Here nothing is ever fetched: the user brings the weights, names them, and knows their licence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tumorseg.errors import InputError, UnavailableError


def require_package(module: str, distribution: str, name: str) -> None:
    """Refuse to go on where a package is not installed; it is not imported.

    Raises:
        UnavailableError: ``module`` cannot be found; says what to install.
    """
    try:
        there = find_spec(module) is not None
    except ImportError:  # a package above it is missing, or broken
        there = False
    if not there:
        raise UnavailableError(f"{name} needs a package that is not installed: pip install {distribution}")


def require_weights(path: Path | None, name: str, option: str, what: str, *, folder: bool = False) -> Path:
    """Return where the weights lie.

    Args:
        path: as the user named it; None where nobody did.
        name: of the model.
        option: of ``tumorseg serve`` that names them.
        what: they are, for the message.
        folder: whether they are a folder.

    Raises:
        UnavailableError: nobody named weights.
        InputError: there is nothing of the kind at ``path``, or it cannot be read.
    """
    if path is None:
        raise UnavailableError(
            f"{name} comes without weights and fetches none: get {what} and name it with {option} (tumorseg serve) "
            "or --weights (tumorseg evaluate)"
        )
    path = Path(path)
    with readable(path, name, option):
        if not (path.is_dir() if folder else path.is_file()):
            kind = "folder" if folder else "file"
            raise InputError(f"expected {what} as the weights of {name}, but there is no {kind} {path}: mend {option}")
        if not folder:
            path.open("rb").close()
    return path


@contextmanager
def readable(path: Path, name: str, option: str) -> Iterator[None]:
    """Say in one line that the weights of a model lie where the server may not look, or on a disk that fails.

    Raises:
        InputError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise InputError(f"cannot read the weights of {name}, {path} ({said}): mend that, or {option}") from error


def require_same(found: str, version: str, name: str, path: Path) -> None:
    """Refuse weights that were exchanged before they were loaded: every mask would name others than made it.

    Raises:
        UnavailableError: ``found`` is not the ``version`` that is offered.
    """
    if found != version:
        raise UnavailableError(f"the weights of {name}, {path}, were exchanged while they were offered: start anew")
