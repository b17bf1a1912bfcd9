"""What viewers may ask for in ``params``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serving import OHIF_PARAMS, SLICER_PARAMS
from tumorseg.adapters.wire import FORBIDDEN, ResultFormat, parse_params
from tumorseg.errors import InputError


def test_what_the_viewers_send() -> None:
    assert parse_params(json.dumps(OHIF_PARAMS)) == ResultFormat(".nrrd", "uint8", compress=False)
    assert parse_params(json.dumps(SLICER_PARAMS)) == ResultFormat(".nrrd", "uint8", compress=True)
    assert parse_params("") == parse_params(None) == parse_params("{}") == ResultFormat()
    assert parse_params({"result_extension": "nii.gz", "result_compress": "false"}).extension == ".nii.gz"
    assert parse_params({"foreground": [[1, 2, 3]], "background": [], "client_id": "x"}) == ResultFormat()


@pytest.mark.parametrize("key", sorted(FORBIDDEN))
def test_nothing_overrides_the_address(key: str) -> None:
    with pytest.raises(InputError, match=key):
        parse_params({key: "cpu"})


@pytest.mark.parametrize("params", ["[1]", "{", '"text"', {"result_extension": ".py"}, {"result_dtype": "float32"}])
def test_what_is_not_offered(params: str | dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        parse_params(params)
