"""Write random weights for DeepEdit of MONAI Label's radiology app: ``random_deepedit.py APP MODEL``.

Runs in the stock environment, with nothing of ours; the network is made by the app's own configuration.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path


def main(app: Path, model: str) -> None:
    """Make the network and save it where the app looks for weights."""
    import torch

    sys.path.insert(0, str(app))
    folder = app / "model"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    config = import_module("lib.configs.deepedit").DeepEdit()
    config.init(model, str(folder), {"use_pretrained_model": "false"}, None)
    target = Path(config.path[1])
    torch.save({"model": config.network.state_dict()}, target.with_suffix(".part"))
    os.replace(target.with_suffix(".part"), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
