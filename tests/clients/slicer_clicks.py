"""Clicks, strokes and boxes with the unmodified Slicer module of MONAI Label's wheel; see slicer_panel.py.

Usage: ``slicer_clicks.py MODULE_FOLDER SERVER SCRATCH PLAN``; the plan is JSON:

- ``image``: id of an image of the server, or ``volume``: a file of one's own, which travels in a session;
- ``model``, ``segment``: what is chosen in the module's selectors;
- ``steps``: one of ``{"point": [x, y, z], "positive": bool}``, ``{"box": {"center": …, "size": …}}``, ``{"strokes":
  {"foreground": FILE, "background": FILE}}`` (label maps) and ``{"clear": true}``; places in RAS mm.

Prints one JSON object: after each step the RAS mm of every voxel of the segment and what was sent to the server.
"""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from slicer_panel import _load, _points, connected, stand_in

_LAYERS = {"foreground": "foreground_scribbles", "background": "background_scribbles"}


class Annotator:
    """Somebody at the module with one image open."""

    def __init__(self, widget: Any, plan: dict[str, Any], scratch: Path) -> None:
        self.widget, self._segment, self._scratch = widget, plan["segment"], scratch
        self.sent: list[dict[str, Any]] = []
        self._listen()
        if "image" in plan:
            self._fetch(plan["image"])
        else:
            self._bring(Path(plan["volume"]))
        self._choose(plan["model"])

    def do(self, step: dict[str, Any]) -> dict[str, Any]:
        """Do one step of the plan, and tell what is to be seen then."""
        self.sent.clear()
        if "point" in step:
            self._click(step["point"], step["positive"])
        elif "box" in step:
            self._draw_box(step["box"])
        elif "strokes" in step:
            self._paint(step["strokes"])
        else:
            self._clear()
        segmentation = self.widget._segmentNode.GetSegmentation()
        names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
        return {
            "points_ras": _points(self.widget._segmentNode, self._segment),
            "segments": {name: len(_points(self.widget._segmentNode, name)) for name in names},
            "sent": list(self.sent),
            "placed": self._placed(),
        }

    def _listen(self) -> None:
        """Note what the module sends, on its way through its own client."""
        infer = self.widget.logic.infer

        def noting(model: str, image: str, params: Any, *rest: Any, **named: Any) -> Any:
            self.sent.append(json.loads(json.dumps(params)))
            return infer(model, image, params, *rest, **named)

        self.widget.logic.infer = noting

    def _fetch(self, image: str) -> None:
        """Open an image of the server, as after "Next Sample"."""
        file = self._scratch / f"{image}.nii.gz"
        where = f"{self.widget.logic.server_url}/datastore/image?image={urllib.parse.quote_plus(image)}"
        urllib.request.urlretrieve(where, file)
        self.widget._volumeNode = _load(file, "vtkMRMLScalarVolumeNode")
        self.widget.initSample({"id": image}, autosegment=False)

    def _bring(self, file: Path) -> None:
        """Open an image of one's own; the module uploads it when it first needs it."""
        self.widget._volumeNode = _load(file, "vtkMRMLScalarVolumeNode")
        self.widget._volumeNode.SetName(file.name.partition(".")[0])
        self.widget.initSample({"id": self.widget._volumeNode.GetName(), "session": True}, autosegment=False)

    def _choose(self, model: str) -> None:
        """Choose in the selectors, and make what the module makes when its window is shown."""
        widget, ui = self.widget, self.widget.ui
        ui.deepgrowModelSelector.currentText = ui.scribblesMethodSelector.currentText = model
        ui.labelComboBox.currentText = ui.scribLabelComboBox.currentText = self._segment
        ui.dgUpdateCheckBox.checked, ui.freezeUpdateCheckBox.checked = True, False
        ui.sam2PlaceWidget.currentNode = lambda: widget._sam2ROINode
        ui.scribblesPlaceWidget.currentNode = lambda: widget._scribblesROINode
        widget._segmentNode.CreateDefaultDisplayNodes()
        for kind in ("Positive", "Negative"):
            made = widget.createPointListNode(kind[0], widget.onDeepGrowPointListNodeModified, [0.5, 1, 0.5])
            node, observers = made
            setattr(widget, f"dg{kind}PointListNode", node)
            setattr(widget, f"dg{kind}PointListNodeObservers", observers)

    def _click(self, point: list[float], positive: bool) -> None:
        """Place a control point; the module hears of it from the scene."""
        node = self.widget.dgPositivePointListNode if positive else self.widget.dgNegativePointListNode
        node.GetDisplayNode().SetActiveControlPoint(node.GetNumberOfControlPoints())
        node.AddControlPoint(*point)

    def _draw_box(self, box: dict[str, list[float]]) -> None:
        """Draw the box of the module's "ROI" button, and press "Update"."""
        node = self.widget._sam2ROINode
        low = [at - size / 2 for at, size in zip(box["center"], box["size"], strict=True)]
        high = [at + size / 2 for at, size in zip(box["center"], box["size"], strict=True)]
        node.AddControlPoint(*low)
        node.AddControlPoint(*high)
        self.widget.onUpdateDeepgrow()

    def _paint(self, strokes: dict[str, str]) -> None:
        """Paint into the module's layers as the editor's brush does, and press "Update"."""
        self.widget.ensureScribblesLayersPresent()
        logic = slicer.modules.segmentations.logic()
        for kind, file in strokes.items():
            node = _load(Path(file), "vtkMRMLLabelMapVolumeNode")
            drawn = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(node)
            drawn.UnRegister(None)
            # Empty segments share one label map; the editor gives each its own when it paints without overwriting.
            self.widget._segmentNode.GetSegmentation().SeparateSegmentLabelmap(_LAYERS[kind])
            logic.SetBinaryLabelmapToSegment(drawn, self.widget._segmentNode, _LAYERS[kind], logic.MODE_MERGE_MAX)
            slicer.mrmlScene.RemoveNode(node)
        self.widget.onUpdateScribbles()

    def _clear(self) -> None:
        """Remove all points, as the trash buttons beside them do, and press "Update"."""
        for node in (self.widget.dgPositivePointListNode, self.widget.dgNegativePointListNode):
            node.RemoveAllControlPoints()
        self.widget.onUpdateDeepgrow()

    def _placed(self) -> dict[str, list[list[float]]]:
        """Return the RAS mm of the points as the scene has them."""
        nodes = {"positive": self.widget.dgPositivePointListNode, "negative": self.widget.dgNegativePointListNode}
        return {
            kind: [list(node.GetNthControlPointPosition(n)) for n in range(node.GetNumberOfControlPoints())]
            for kind, node in nodes.items()
        }


def main(folder: str, server: str, scratch: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Do the whole plan."""
    errors = stand_in(scratch)
    slicer.util.confirmOkCancelDisplay = lambda *args, **kw: True
    _, widget = connected(folder, server, plan["model"], scratch)
    annotator = Annotator(widget, plan, scratch)
    seen = [annotator.do(step) for step in plan["steps"]]
    session = widget.current_sample.get("session_id")
    return {
        "errors": errors,
        "models": {name: said["type"] for name, said in widget.models.items()},
        "labels": widget.info["labels"],
        "session": bool(session),
        "seen": seen,
    }


if __name__ == "__main__":
    answer = main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4]))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
