"""Annotated pictures in and out: VIA, Pascal VOC, COCO, mask folders, kaggle_3m slices."""

from tumorseg.annotations.open import open_pictures, study_image
from tumorseg.annotations.types import DEFAULT_LABEL, Picture, PictureSet, Problem, Region

__all__ = ["DEFAULT_LABEL", "Picture", "PictureSet", "Problem", "Region", "open_pictures", "study_image"]
