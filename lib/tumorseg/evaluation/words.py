"""What the figures are called where people read them."""

from __future__ import annotations

#: key of ``tumorseg evaluate --json`` -> what stands in a table.
TITLES: dict[str, str] = {
    "map50": "mAP@0.5, boxes",
    "mask_map50": "mAP@0.5, masks",
    "coco_map": "COCO mAP, boxes",
    "mask_coco_map": "COCO mAP, masks",
    "ap50_lesion": "AP@0.5 of a lesion, whatever its class",
    "iou_matched": "IoU of what was found, boxes",
    "mask_iou_matched": "IoU of what was found, masks",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "precision_lesion": "precision, whatever the class",
    "recall_lesion": "recall, whatever the class",
    "dice_mean": "mean Dice",
    "dice_median": "median Dice",
    "specificity": "specificity",
    "froc_cpm": "FROC: mean sensitivity at ⅛ to 8 false alarms an image",
    "auc": "AUC, slice by slice",
    "sensitivity": "sensitivity",
    "accuracy": "accuracy",
    "slice_dice": "Dice by slice, all",
    "slice_dice_tumour": "Dice by slice, with tumour",
    "slice_dice_empty": "Dice by slice, without tumour",
    "slice_iou": "IoU by slice, all",
    "slice_iou_tumour": "IoU by slice, with tumour",
    "slice_iou_empty": "IoU by slice, without tumour",
    "dice": "Dice",
    "iou": "IoU",
    "hd95_mm": "Hausdorff 95, mm",
    "surface_dice": "surface Dice",
    "lesion_dice": "Dice by lesion",
    "iou_mean": "mean IoU",
    "sensitivity_mean": "mean sensitivity",
    "precision_mean": "mean precision",
    "hd95_mm_mean": "mean Hausdorff 95, mm",
    "surface_dice_mean": "mean surface Dice",
    "lesion_dice_mean": "mean Dice by lesion",
    "false_positive_slices": "false-positive / empty slices",
}

#: What a figure means, for someone who does not measure detectors every day.
MEANINGS: dict[str, str] = {
    "map50": "Area under the precision-recall curve (all-point), mean over the classes. A box counts as right when it "
    "overlaps the annotated one by an IoU of at least 0.5.",
    "mask_map50": "The same, with the overlap of the outlines.",
    "coco_map": "Mean over ten overlaps from 0.50 to 0.95: how exactly the boxes lie.",
    "ap50_lesion": "As mAP@0.5, asking only whether there is a lesion.",
    "iou_matched": "Mean overlap of the detections that are right with what they found, at the operating threshold.",
    "precision": "Part of what was found, or passed on, that is right, at the operating threshold.",
    "recall": "Part of the annotated objects that are found, at the operating threshold.",
    "f1": "Harmonic mean of the two.",
    "dice_mean": "Overlap of everything outlined with everything annotated, mean over the pictures or patients that "
    "have something annotated; 0 where nothing was found.",
    "specificity": "Part of the normal pictures or slices on which nothing is marked.",
    "auc": "Chance that a slice with tumour scores above one without.",
    "sensitivity": "Part of the slices with tumour that are passed on.",
    "slice_dice_empty": "Part of the slices without tumour that are left unmarked (each counts 1 or 0).",
}


def title(figure: str) -> str:
    """Return what a figure is called in a table."""
    return TITLES.get(figure, figure.replace("_", " "))
