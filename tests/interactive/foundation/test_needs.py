from __future__ import annotations

from pathlib import Path

import pytest

from tumorseg.errors import InputError, UnavailableError
from tumorseg.interactive.foundation.needs import require_package, require_weights

WHAT = "a checkpoint"


def test_weights_that_nobody_named_are_asked_for_and_not_fetched() -> None:
    with pytest.raises(
        UnavailableError, match=r"m comes without weights and fetches none: .* --m-weights \(.* --weights \("
    ):
        require_weights(None, "m", "--m-weights", WHAT)


@pytest.mark.parametrize("folder", [False, True])
def test_weights_that_are_not_there(tmp_path: Path, folder: bool) -> None:
    with pytest.raises(InputError, match=rf"there is no {'folder' if folder else 'file'} .*gone: mend --m-weights"):
        require_weights(tmp_path / "gone", "m", "--m-weights", WHAT, folder=folder)


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.touch()
    assert require_weights(file, "m", "--m-weights", WHAT) == file
    assert require_weights(tmp_path, "m", "--m-weights", WHAT, folder=True) == tmp_path
    with pytest.raises(InputError, match="no folder"):
        require_weights(file, "m", "--m-weights", WHAT, folder=True)
    with pytest.raises(InputError, match="no file"):
        require_weights(tmp_path, "m", "--m-weights", WHAT)


@pytest.mark.parametrize("folder", [False, True])
def test_weights_where_the_server_may_not_look_are_told_in_one_line(tmp_path: Path, folder: bool) -> None:
    """An OSError would be a 500 of the list of all models. Root may look everywhere, so that the disk refuses here."""
    with pytest.raises(
        InputError, match=r"^cannot read the weights of m, .*\(File name too long\): mend that, or --m$"
    ):
        require_weights(tmp_path / ("x" * 300), "m", "--m", WHAT, folder=folder)


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.inside", "json.no_such_module"])
def test_a_package_that_is_missing(module: str) -> None:
    with pytest.raises(UnavailableError, match="pip install its-name"):
        require_package(module, "its-name", "m")
    require_package("json.decoder", "its-name", "m")
