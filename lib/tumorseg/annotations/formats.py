"""The data set formats, put together; registry.ANNOTATIONS names them."""

from __future__ import annotations

from tumorseg.annotations import (
    coco_read,
    coco_write,
    kaggle_slices,
    kaggle_slices_write,
    mask_folders,
    mask_folders_write,
    via_read,
    via_write,
    voc_read,
    voc_write,
)
from tumorseg.annotations.format import AnnotationFormat

VIA = AnnotationFormat(
    name="via",
    description="pictures with a JSON or CSV file of the VGG Image Annotator 1 or 2",
    fits=via_read.fits,
    read=via_read.read,
    write=via_write.write,
)
VOC = AnnotationFormat(
    name="voc",
    description="Pascal VOC: pictures with an XML file each",
    fits=voc_read.fits,
    read=voc_read.read,
    write=voc_write.write,
)
COCO = AnnotationFormat(
    name="coco",
    description="pictures with JSON that lists images, annotations and categories",
    fits=coco_read.fits,
    read=coco_read.read,
    write=coco_write.write,
)
MASK_FOLDERS = AnnotationFormat(
    name="mask_folders",
    description="folders by class of x.png with x_mask.png, x_mask_1.png (BUSI)",
    fits=mask_folders.fits,
    read=mask_folders.read,
    write=mask_folders_write.write,
)
KAGGLE_3M = AnnotationFormat(
    name="kaggle_3m",
    description="folders by patient of <patient>_<n>.tif with <patient>_<n>_mask.tif",
    fits=kaggle_slices.fits,
    read=kaggle_slices.read,
    write=kaggle_slices_write.write,
)
