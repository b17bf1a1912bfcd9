"""Runs the unmodified Slicer module of MONAI Label's wheel on Slicer's own core, in a process of its own.

What has no Qt here is stood in for: widgets, dialogs and settings. Everything that touches an image is Slicer's code:
its reader, its scene, its import of label maps into segmentations. Usage: ``slicer_panel.py MODULE_FOLDER SERVER
MODEL SCRATCH [NAME PASSWORD]``; prints one JSON object.
"""

from __future__ import annotations

import itertools
import json
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy


class _Base:
    """Base of the classes that Qt or Slicer's desktop would provide."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what is given and forget it."""


def stand_in(scratch: Path) -> list[str]:
    """Put the parts in place that need a desktop; returns the list in which error dialogs are collected."""
    errors: list[str] = []
    for name in ("qt", "ctk"):
        module = MagicMock(name=name)
        module.QDialog = module.ctkSettingsPanel = _Base
        sys.modules[name] = module
    modules: dict[str, dict[str, Any]] = {
        "SampleData": {},
        "sitkUtils": {"PushVolumeToSlicer": lambda image, target, className: _push(image, className, scratch)},
        "vtkSegmentationCore": {},
        "slicer.i18n": {"tr": lambda text: text, "translate": lambda context, text: text},
        "slicer.ScriptedLoadableModule": {
            f"ScriptedLoadableModule{part}": type(f"ScriptedLoadableModule{part}", (_Base,), {})
            for part in ("", "Widget", "Logic", "Test")
        },
    }
    for name, content in modules.items():
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(content)
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    slicer.mrmlScene = slicer.vtkMRMLScene()
    segmentations.SetMRMLScene(slicer.mrmlScene)
    slicer.app, slicer.modules = MagicMock(), MagicMock()
    slicer.modules.segmentations.logic = lambda: segmentations
    slicer.util.settingsValue = lambda key, default, converter=None, settings=None: default
    slicer.util.errorDisplay = lambda text, detailedText="", **kw: errors.append(f"{text}\n{detailedText}")
    slicer.util.infoDisplay = slicer.util.warningDisplay = lambda *args, **kw: None
    slicer.util.createProgressDialog = MagicMock()
    slicer.util.saveNode = _save
    slicer.util.loadMarkups = _markups_loader()
    return errors


def _markups_loader() -> Any:
    """Load markups by the logic that Slicer's own reader of them calls."""
    selection = slicer.vtkMRMLSelectionNode()
    selection.SetSingletonTag("Singleton")
    slicer.mrmlScene.AddNode(selection)
    logic = slicer.vtkSlicerMarkupsLogic()
    logic.SetMRMLScene(slicer.mrmlScene)

    def load(path: str) -> None:
        if logic.LoadMarkups(str(path), "", None) is None:
            raise RuntimeError(f"Failed to load node from file: {path}")

    return load


def _push(image: sitk.Image, class_name: str, scratch: Path) -> Any:
    """Bring an ITK image into the scene through a file, so that Slicer's reader places it."""
    sitk.WriteImage(image, str(scratch / "pushed.nrrd"))
    return _load(scratch / "pushed.nrrd", class_name)


def _load(path: Path, class_name: str) -> Any:
    """Read a volume as Slicer does when a file is dropped on it."""
    node = slicer.mrmlScene.AddNewNodeByClass(class_name)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetCenterImage(0)
    if not storage.ReadData(node):
        raise RuntimeError(f"Slicer cannot read {path.name}")
    return node


def _save(node: Any, path: str) -> bool:
    """Write a volume as Slicer does."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(path)
    return bool(storage.WriteData(node))


def _points(node: Any, name: str) -> list[list[float]]:
    """Return the RAS mm of every voxel of a segment, as the scene has it."""
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(node.GetSegmentation().GetSegmentIdBySegmentName(name), image)
    to_world = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_world)
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    marked = [(i + i0, j + j0, k + k0) for k, j, i in zip(*voxels.nonzero(), strict=True)]
    return [list(to_world.MultiplyPoint((*map(float, index), 1.0))[:3]) for index in marked]


def _rois() -> list[dict[str, Any]]:
    """Return name, label, description, and the eight corners in RAS mm of every ROI in the scene."""
    nodes = slicer.mrmlScene.GetNodesByClass("vtkMRMLMarkupsROINode")
    return [_roi(nodes.GetItemAsObject(n)) for n in range(nodes.GetNumberOfItems())]


def _roi(node: Any) -> dict[str, Any]:
    to_world = node.GetObjectToWorldMatrix()
    ends = itertools.product(*((-length / 2, length / 2) for length in node.GetSize()))
    return {
        "name": node.GetName(),
        "label": node.GetNthControlPointLabel(0),
        "description": node.GetDescription(),
        "corners_ras": [list(to_world.MultiplyPoint((*end, 1.0))[:3]) for end in ends],
    }


class _Person:
    """Stands in for the module's sign-in dialog and whoever types into it."""

    asked = 0

    def __init__(self, name: str, password: str) -> None:
        self.ui = MagicMock()
        self.ui.username.text, self.ui.password.text = name, password

    def exec(self) -> None:
        """Type and press the button."""
        _Person.asked += 1


def connected(folder: str, server: str, model: str, scratch: Path, *signed: str) -> tuple[Any, Any]:
    """Return the module and its widget, connected as after a click on the server's address."""
    sys.path.insert(0, folder)
    panel = __import__("MONAILabel")
    panel.LoginDialog = lambda **kw: _Person(*signed)
    widget = panel.MONAILabelWidget()
    widget.ui, widget.tmpdir = MagicMock(), str(scratch)
    widget.ui.segmentationModelSelector.currentText = widget.ui.trainerBox.currentText = model
    widget.ui.configTable.rowCount = widget.ui.optionsSection.currentIndex = widget.ui.optionsName.currentIndex = 0
    widget.serverUrl = lambda: server
    widget.updateGUIFromParameterNode = lambda *args: None
    widget.logic = panel.MONAILabelLogic(str(scratch / "panel"), server_url=server, client_id="tester")
    (scratch / "panel").mkdir()
    widget.updateServerSettings = lambda: widget.logic.setServer(server)
    widget.fetchInfo()
    return panel, widget


def main(folder: str, server: str, model: str, scratch: Path, *signed: str) -> dict[str, Any]:
    """Connect, fetch the next sample, run auto-segmentation, and save the label, as a person would click it."""
    errors = stand_in(scratch)
    panel, widget = connected(folder, server, model, scratch, *signed)
    sample = widget.logic.next_sample("first", {})
    file = scratch / str(sample["name"])
    panel.MONAILabelClient  # noqa: B018  the module found its own client
    import urllib.request

    urllib.request.urlretrieve(f"{server}/datastore/image?image={panel.quote_plus(sample['id'])}", file)
    widget._volumeNode = _load(file, "vtkMRMLScalarVolumeNode")
    widget._segmentNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    widget._segmentNode.SetReferenceImageGeometryParameterFromVolumeNode(widget._volumeNode)
    widget.current_sample = sample
    widget.updateSegmentationMask(None, widget.info["labels"])
    widget.onClickSegmentation()
    points = {name: _points(widget._segmentNode, name) for name in widget.info["labels"]} if not errors else {}
    rois = _rois()
    if not errors and widget.models[model]["type"] != "detection":
        widget.onResetScribbles = widget.resetSam2ROI = lambda: None
        widget.onSaveLabel()
    return {
        "errors": errors,
        "labels": widget.info["labels"],
        "models": {name: said["type"] for name, said in widget.models.items()},
        "sample": sample["id"],
        "points_ras": points,
        "rois": rois,
        "completed": widget.info["datastore"]["completed"],
        "asked_to_sign_in": _Person.asked,
    }


if __name__ == "__main__":
    answer = main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), *sys.argv[5:])
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
