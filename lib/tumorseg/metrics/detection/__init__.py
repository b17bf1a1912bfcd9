"""How well objects are found: boxes or masks with a class and a score, against annotated ones.

The way through: :class:`~tumorseg.metrics.detection.records.ImageResult` for each image →
:func:`~tumorseg.metrics.detection.matching.rank` (who found what, all images in one list by score) → any of the
statistics beside this file. A statistic in the plural takes weights ``(R, N)``, how often each image was drawn in each
resample, and answers all resamples at once: :func:`tumorseg.metrics.patients.interval_by_patient` feeds them.
"""
