from __future__ import annotations

import inspect
import pickle
import socket
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.interactive.foundation.tiny_sam2 import SIDE, write_checkpoint
from tumorseg.errors import InputError
from tumorseg.interactive.foundation import sam2_network
from tumorseg.interactive.foundation.sam2_network import SIZES, Asked, Sam2Network

PICTURE = np.random.default_rng(6).integers(0, 256, (90, 120, 3), np.uint8)
POINT = ((40.5, 30.5), True)


@pytest.fixture(scope="module")
def network(checkpoint: Path, small: None) -> Sam2Network:
    return Sam2Network(checkpoint, "cpu")


def reference(network: Sam2Network) -> Any:
    """Return the package's own predictor around the same network."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(network._network)
    side = network._network.image_size
    predictor._bb_feat_sizes = [(side // 4,) * 2, (side // 8,) * 2, (side // 16,) * 2]
    predictor.set_image(PICTURE)
    return predictor


def hint_of(asked: Asked, network: Sam2Network) -> Any:
    found = network._hint(asked)
    return None if found is None else found[0].numpy()


def check_against_the_package(network: Sam2Network) -> None:
    predictor, embedding = reference(network), network.encode(PICTURE)
    drawn = np.zeros(PICTURE.shape[:2], bool)
    drawn[20:50, 30:80] = True
    for asked in (
        Asked((POINT,)),
        Asked((POINT, ((100.5, 80.5), False))),
        Asked((), (10, 20, 60, 70)),
        Asked((POINT,), (10, 20, 60, 70)),
        Asked((POINT,), None, drawn),
    ):
        masks, scores, _ = predictor.predict(
            point_coords=np.array([at for at, _ in asked.points]) if asked.points else None,
            point_labels=np.array([said for _, said in asked.points], int) if asked.points else None,
            box=None if asked.box is None else np.array(asked.box),
            mask_input=hint_of(asked, network),
            multimask_output=asked.ambiguous,
        )
        expected = masks[int(scores.argmax())] > 0
        assert 0 < expected.sum() < expected.size, "a reference that marks all or nothing says nothing"
        np.testing.assert_array_equal(network.decode(embedding, asked), expected)
    assert embedding.nbytes == 2**20 * 4 * (network._network.image_size / 1024) ** 2 * 4


def test_answers_as_the_package_s_own_predictor_does(network: Sam2Network) -> None:
    check_against_the_package(network)


@pytest.mark.slow
def test_answers_as_the_package_s_own_predictor_does_at_full_size(tmp_path: Path) -> None:
    check_against_the_package(Sam2Network(write_checkpoint(tmp_path / "tiny.pt"), "cpu"))


def test_a_mask_so_far_reaches_the_decoder_where_it_lies(network: Sam2Network) -> None:
    drawn = np.zeros((90, 120), bool)
    drawn[:, 90:] = True
    logits = network._hint(Asked(hint=drawn))
    assert logits is not None
    assert logits.shape == (1, 1, SIDE // 4, SIDE // 4)
    torch.testing.assert_close(logits[..., : SIDE * 5 // 32], torch.full((1, 1, 32, 20), -10.0))
    torch.testing.assert_close(logits[..., SIDE * 7 // 32 :], torch.full((1, 1, 32, 4), 10.0))


@pytest.mark.parametrize("size", SIZES.values())
@pytest.mark.parametrize(("version", "new"), [("sam2", ()), ("sam2.1", ("no_obj_embed_spatial",))])
def test_the_checkpoint_says_which_network_it_fills(size: str, version: str, new: tuple[str, ...]) -> None:
    from omegaconf import OmegaConf
    from sam2.modeling.backbones.hieradet import Hiera

    expected = Path(inspect.getfile(sam2_package())).parent / "configs" / version / f"{version}_hiera_{size}.yaml"
    trunk = OmegaConf.load(expected).model.image_encoder.trunk
    stages = trunk.get("stages", inspect.signature(Hiera).parameters["stages"].default)
    names = [*new, *(f"image_encoder.trunk.blocks.{n}.{part}" for n in range(sum(stages)) for part in ("norm1", "mlp"))]
    found = real_configuration(Path("x"), dict.fromkeys(names, torch.zeros(1)))
    assert found == expected


def sam2_package() -> Any:
    import sam2

    return sam2


real_configuration = sam2_network._configuration


def no_network(*args: object, **kwargs: object) -> None:
    raise AssertionError(f"reached for the network: {args}")


def test_builds_again_and_again_in_threads_with_hydra_cleared_and_without_a_network(
    checkpoint: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hydra.core.global_hydra import GlobalHydra

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, no_network)
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    GlobalHydra.instance().clear()  # as MONAI Label's own task does when it is built
    masks: list[Any] = []

    def build() -> None:
        network = Sam2Network(checkpoint, "cpu")
        masks.append(network.decode(network.encode(PICTURE), Asked((POINT,))))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(masks) == 2
    np.testing.assert_array_equal(*masks)
    assert not GlobalHydra.instance().is_initialized(), "nothing of it is left in Hydra's global state"


class Trap:
    """Would write a file where a pickle is trusted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def damage(path: Path, how: str, checkpoint: Path) -> None:
    if how == "cut":
        path.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    elif how == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "no weights")
    elif how == "pickle":
        path.write_bytes(pickle.dumps({"model": Trap(path.with_name("sprung"))}))
    elif how == "list":
        torch.save([torch.zeros(2)], path)
    elif how == "bare":
        torch.save({"weight": torch.zeros(2)}, path)
    elif how == "numbered":
        torch.save({"model": {1: torch.zeros(2)}}, path)
    elif how == "other":
        torch.save({"model": {"weight": torch.zeros(2)}}, path)
    else:
        state = torch.load(checkpoint, weights_only=True)["model"]
        state.pop("sam_mask_decoder.mask_tokens.weight")
        torch.save({"model": state}, path)


@pytest.mark.parametrize(
    "how", ["cut", "text", "empty", "zip", "pickle", "list", "bare", "numbered", "other", "incomplete"]
)
def test_what_is_no_checkpoint_is_told_in_one_line_and_runs_nothing(
    how: str, checkpoint: Path, small: None, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    damage(path, how, checkpoint)
    with pytest.raises(InputError, match=r"expected a checkpoint of SAM 2") as caught:
        Sam2Network(path, "cpu")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "sprung").exists()
