"""What weights say of themselves is read from the head of the file."""

import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.models.metadata import read_metadata, read_number
from tumorseg.training.checkpoint import save_weights


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "some.safetensors"
    save_weights({"a": torch.zeros(3)}, path, half=True, metadata={"threshold": "0.25", "model": "gate"})
    return path


def test_it_is_what_was_written(weights):
    assert read_metadata(weights) == {"threshold": "0.25", "model": "gate"}
    assert read_number(weights, "threshold", 0.5) == 0.25
    assert read_number(weights, "other", 0.5) == 0.5


def test_a_text_where_a_number_belongs_is_said(weights):
    with pytest.raises(InputError, match="expected a number as 'model'"):
        read_number(weights, "model", 0.5)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00[]"])
def test_another_file_is_said(tmp_path, content):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(InputError, match="no safetensors"):
        read_metadata(tmp_path / "bad")
