"""Giving a served model other weights while the server runs: tried first, switched in one step, nothing interrupted.

What may be sent is safetensors, or a torch file of plain tensors, which is rewritten as safetensors. Everything is told
by content: pickles that could run code, TorchScript and other archives are never opened by anything that would run
them, whatever they are called.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.weights import describe_file, require_same_shapes, shapes_of
from tumorseg.errors import InputError, NotFoundError, TumorSegError, UnavailableError
from tumorseg.versions.files import digest_of
from tumorseg.versions.types import VersionCard

if TYPE_CHECKING:
    from torch import Tensor

    from tumorseg.adapters.engine import Engine

_ZIP = b"PK\x03\x04"
#: Entries of a TorchScript archive: code.
_SCRIPT = ("code/", "constants.pkl", "ts_code/", "bytecode.pkl")
#: Under which names training programs put the weights into a file.
_INNER = ("state_dict", "model_state_dict", "model")


class WeightsDesk:
    """Where weights are handed out and taken in."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._versions = engine, engine.models.versions
        self._changing = threading.Lock()

    def file(self, model: str) -> Path:
        """Return the weights that a model uses.

        Raises:
            NotFoundError: no such model is served, or it has none.
        """
        path = self._versions.current(self._served(model)) or _shipped(model)
        if path is None:
            raise NotFoundError(f"model {model!r} has no file of weights")
        return path

    def replace(self, model: str, file: Path, who: str) -> dict[str, Any]:
        """Make other weights the version that serves from now on; requests that run go on with the old ones.

        Other servers of the same state folder follow within a second.

        Args:
            model: which one.
            file: safetensors, or a torch file of tensors.
            who: who sent it.

        Raises:
            InputError: not weights of this model's network, or something that could be code; nothing is changed.
            UnavailableError: other weights are being tried at the moment.
        """
        self._served(model)
        with self._alone():
            safe = as_safetensors(file)
            expected = self._like(model)
            if expected is not None:
                require_same_shapes(model, shapes_of(safe), shapes_of(expected))
            _require_finite(safe)
            self._engine.try_out(model, safe)
            self._versions.publish(self._card(model, safe, who), safe)
            self._engine.models.follow(model)
            return describe_file(safe)

    def rollback(self, model: str, version: str, who: str) -> str:
        """Serve an earlier version again; requests that run go on with the one of now.

        Args:
            model: which one.
            version: id of a published version, SHIPPED for the weights that come with it, ``""`` for what served
                before the version of now.
            who: who does it.

        Returns:
            The id of the version that serves.

        Raises:
            NotFoundError: there is no such model or version.
            InputError: the version was refused, or its weights are gone or cannot be loaded; what served goes on.
            UnavailableError: other weights are being tried at the moment.
        """
        self._served(model)
        with self._alone():
            wanted = version or self._versions.before(model)
            try:
                now: str | None = self._versions.serving(model)
            except InputError:  # a damaged pointer, which this mends
                now = None
            self._versions.rollback(model, wanted, who)
            try:
                self._engine.models.follow(model)
            except TumorSegError:
                if now is not None:
                    self._versions.rollback(model, now, who)
                raise
            return wanted

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Try one change at a time: each may load a network."""
        if not self._changing.acquire(blocking=False):
            raise UnavailableError("other weights are being tried at the moment: try again in a minute")
        try:
            yield
        finally:
            self._changing.release()

    def _like(self, model: str) -> Path | None:
        """Return weights of the model's network; None where there are none, or they are gone: then new ones help."""
        try:
            return self._versions.current(model) or _shipped(model)
        except InputError:
            return _shipped(model)

    def _card(self, model: str, file: Path, who: str) -> VersionCard:
        """Say what is known of weights that somebody sent."""
        sha256 = digest_of(file)
        return VersionCard(
            id=self._versions.new_id(model, sha256),
            model=model,
            sha256=sha256,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=who,
            how="uploaded",
            parent=self._versions.serving(model),
            status="published",
            why="uploaded by an administrator; not compared with what served before",
        )

    def _served(self, model: str) -> str:
        if model not in self._engine.models.names:
            raise NotFoundError(f"unknown model {model[:80]!r}; served: {', '.join(self._engine.models.names)}")
        return model


def as_safetensors(file: Path) -> Path:
    """Return the file where it is safetensors, else its tensors written as such beside it.

    Raises:
        InputError: neither safetensors nor a torch file of plain tensors.
    """
    with file.open("rb") as stream:
        start = stream.read(9)
    if start[:4] == _ZIP:
        return _converted(file)
    if start[8:] != b"{":
        raise InputError("expected weights as safetensors, got another kind of file: pickles and scripts are not taken")
    shapes_of(file)
    return file


def _converted(file: Path) -> Path:
    """Rewrite a torch file; torch unpickles tensors and plain values only, and nothing that is code."""
    import torch
    from safetensors.torch import save_file

    try:
        _require_no_code(file)
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # torch raises many kinds; what it would not load is not wanted
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"expected safetensors or a torch file of plain tensors, got something else ({why})") from None
    state = _tensors(loaded)
    target = file.with_name("weights.safetensors")
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, target)
    return target


def _require_no_code(file: Path) -> None:
    """Refuse TorchScript, and archives that unpack to more than they are."""
    with zipfile.ZipFile(file) as packed:
        entries = packed.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError("expected a torch file, got a packed archive: send the weights as safetensors")
    if any(part in entry.filename for entry in entries for part in _SCRIPT):
        raise InputError("TorchScript is code and is not taken: send the weights as safetensors")


def _tensors(loaded: object) -> dict[str, Tensor]:
    """Find the state dict in what a training program stored."""
    from torch import Tensor

    if isinstance(loaded, dict):
        for key in _INNER:
            if isinstance(loaded.get(key), dict):
                loaded = loaded[key]
                break
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError("expected a torch file with a state dict (name -> tensor), got something else")
    return {str(name): value for name, value in loaded.items()}


def _require_finite(file: Path) -> None:
    """Refuse weights that are no numbers: every answer would be none either."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                tensor = opened.get_tensor(name)
                if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                    raise InputError(f"the weights {name!r} hold NaN or infinity: the training went wrong")
    except SafetensorError as error:
        raise InputError(f"the safetensors file is damaged ({str(error)[:200]}): send it again") from None


def _shipped(model: str) -> Path | None:
    """Return the weights that come with a model of ours."""
    from tumorseg.models.slicewise import WEIGHTS

    path = WEIGHTS / f"{model}.safetensors"
    return path if path.is_file() else None
