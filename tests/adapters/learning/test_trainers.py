"""Which models are offered for training: those that the engine trains as they serve."""

import pytest

from tests import tiny
from tumorseg.adapters.learning.trainers import spec_of, trainable
from tumorseg.config import AppConfig
from tumorseg.registry import MODELS


def test_served_slice_wise_models_learn_and_two_stages_and_detectors_do_not(tmp_path):
    config = AppConfig(str(tmp_path), models=tuple(MODELS), default_model="unet")
    assert list(trainable(config)) == ["unet", "resunet", "resunet25d", "fcn32s"]


def test_only_what_is_served_learns_and_a_site_brings_its_own(tmp_path):
    extra = {"tiny": "tests.tiny:build", "mine": "tests.support:build_threshold", "gone": "no.such.module:build"}
    config = AppConfig(str(tmp_path), models=tuple(extra), default_model="tiny", extra_models=extra)
    assert trainable(config) == {"tiny": tiny.SPEC}


@pytest.mark.parametrize("factory", ["tests.untrained:build", "tests.tiny:build"])
def test_weights_are_no_condition(factory):
    spec = spec_of(factory)
    assert spec is not None
    assert spec.name == "tiny"
