"""SAM 2's own tiny network, with weights drawn at random: no checkpoint is published with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

#: Sides of the picture that the network sees: the same layers as with 1024, and a 64th of the work.
SIDE = 128
CONFIGURATION = "configs/sam2.1/sam2.1_hiera_t.yaml"


def write_checkpoint(path: Path) -> Path:
    """Write what Meta publishes as ``sam2.1_hiera_tiny.pt``, through the package, with other numbers in it."""
    import torch
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from sam2.build_sam import build_sam2

    if not GlobalHydra.instance().is_initialized():  # a test before this one cleared it, as MONAI Label's task does
        initialize_config_module("sam2", version_base="1.2")
    with torch.random.fork_rng():
        torch.manual_seed(6)
        network = build_sam2(CONFIGURATION, None, device="cpu")
    torch.save({"model": network.state_dict()}, path)
    return path


def small_pictures(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let every network that is built from now on see pictures of :data:`SIDE`."""
    from omegaconf import OmegaConf

    from tumorseg.interactive.foundation import sam2_network

    described = sam2_network._configuration

    def smaller(checkpoint: Path, state: object) -> Path:
        found = OmegaConf.load(described(checkpoint, state))  # type: ignore[arg-type]
        found.model.image_size = SIDE
        OmegaConf.save(found, folder / "small.yaml")
        return folder / "small.yaml"

    patch.setattr(sam2_network, "_configuration", smaller)
