"""Saves a segmentation as Slicer's own core does, in a process of its own.

Usage: ``slicer_segmentation.py VOLUME CROP OUT NAME=MASK…``: every mask becomes a segment of a segmentation of VOLUME,
saved as OUT, cropped to what is marked where CROP is 1.
"""

from __future__ import annotations

import sys

import slicer
import vtk


def _load(scene: slicer.vtkMRMLScene, path: str, class_name: str) -> slicer.vtkMRMLVolumeNode:
    node = scene.AddNewNodeByClass(class_name)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(path)
    storage.SetCenterImage(0)
    assert storage.ReadData(node), path
    return node


def main(volume: str, crop: str, out: str, *masks: str) -> None:
    """Make the segmentation and save it."""
    scene, logic = slicer.vtkMRMLScene(), slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    image = _load(scene, volume, "vtkMRMLScalarVolumeNode")
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(image)
    for named in masks:
        name, _, path = named.partition("=")
        label = _load(scene, path, "vtkMRMLLabelMapVolumeNode")
        known = vtk.vtkStringArray()
        segmentation.GetSegmentation().GetSegmentIDs(known)
        before = {known.GetValue(n) for n in range(known.GetNumberOfValues())}
        assert logic.ImportLabelmapToSegmentationNode(label, segmentation)
        segmentation.GetSegmentation().GetSegmentIDs(known)
        (new,) = {known.GetValue(n) for n in range(known.GetNumberOfValues())} - before
        segmentation.GetSegmentation().GetSegment(new).SetName(name)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(out)
    storage.SetCropToMinimumExtent(crop == "1")
    assert storage.WriteData(segmentation)


main(*sys.argv[1:])
