"""What viewers may ask for in ``params``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.serving import OHIF_PARAMS, SLICER_PARAMS
from tumorseg.adapters.wire import FORBIDDEN, ResultFormat, parse_params, settings
from tumorseg.errors import InputError
from tumorseg.models.detection_options import DetectionOptions


def test_what_the_viewers_send() -> None:
    assert parse_params(json.dumps(OHIF_PARAMS)) == ResultFormat(".nrrd", "uint8", compress=False)
    assert parse_params(json.dumps(SLICER_PARAMS)) == ResultFormat(".nrrd", "uint8", compress=True)
    assert parse_params("") == parse_params(None) == parse_params("{}") == ResultFormat()
    assert parse_params({"result_extension": "nii.gz", "result_compress": "false"}).extension == ".nii.gz"
    assert parse_params({"foreground": [[1, 2, 3]], "background": [], "client_id": "x"}) == ResultFormat()


def test_thresholds_as_a_viewers_table_sends_them() -> None:
    """Slicer's module sends back the model's config: typed where nobody edited it, else text, empty for nothing."""
    config = settings(DetectionOptions())
    assert parse_params(json.dumps(SLICER_PARAMS | config)).boxes is True
    assert parse_params(config).thresholds == asdict(DetectionOptions())
    edited = {"boxes": False, "score": "0.7", "nms": "", "link": None, "min_slices": "2", "max_instances": "5.0"}
    wanted = parse_params(edited)
    assert (wanted.boxes, wanted.thresholds) == (False, {"score": 0.7, "min_slices": 2, "max_instances": 5})
    assert isinstance(wanted.thresholds["max_instances"], int)
    with pytest.raises(InputError, match="expected a number as score, got 'high'"):
        parse_params({"score": "high"})


@pytest.mark.parametrize("key", sorted(FORBIDDEN))
def test_nothing_overrides_the_address(key: str) -> None:
    with pytest.raises(InputError, match=key):
        parse_params({key: "cpu"})


@pytest.mark.parametrize("params", ["[1]", "{", '"text"', {"result_extension": ".py"}, {"result_dtype": "float32"}])
def test_what_is_not_offered(params: str | dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        parse_params(params)
