"""The data set formats, put together; registry.ANNOTATIONS names them."""

from __future__ import annotations

from tumorseg.annotations import kaggle_slices, mask_folders, via_read
from tumorseg.annotations.format import AnnotationFormat

VIA = AnnotationFormat(
    "via", "pictures with a JSON or CSV file of the VGG Image Annotator 1 or 2", via_read.fits, via_read.read
)
MASK_FOLDERS = AnnotationFormat(
    "mask_folders", "class folders of x.png with x_mask.png (BUSI)", mask_folders.fits, mask_folders.read
)
KAGGLE_3M = AnnotationFormat(
    "kaggle_3m", "patient folders of <id>_<n>.tif with <id>_<n>_mask.tif", kaggle_slices.fits, kaggle_slices.read
)
