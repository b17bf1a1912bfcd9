"""What can be wrong with an annotated data set, by name."""

from __future__ import annotations

#: kind -> what it means. A message says it for one file.
KINDS: dict[str, str] = {
    "missing_picture": "annotated, but there is no such file",
    "unreadable_picture": "the picture cannot be decoded",
    "size_mismatch": "annotation and picture have different sizes",
    "bad_shape": "an outline that encloses nothing: too few points, no area, not a number",
    "no_area_shape": "a point or line, which marks no region",
    "unknown_class": "a class that the set was not said to have",
    "no_class": "regions without a class name beside others that have one",
    "unannotated_picture": "a picture that nobody annotated",
    "empty_mask": "a mask file without any pixel set",
    "out_of_bounds": "an outline that leaves the picture",
    "self_intersecting": "an outline that crosses itself",
    "covers_no_pixel": "an outline between the pixels' centres",
    "several_parts": "a mask of parts that lie apart",
    "label_changed": "a label that differs from the outlines it was imported with",
    "label_removed": "a label that was deleted since the import",
    "picture_added": "a picture that came after the import",
    "duplicate": "two files with the same pixels",
    "near_duplicate": "two files that show nearly the same",
    "duplicate_across_splits": "the same picture in two parts of the split",
    "near_duplicate_across_splits": "nearly the same picture in two parts of the split",
    "patient_across_splits": "one patient in two parts of the split",
}
