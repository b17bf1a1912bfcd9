"""Classifiers of slices, measured on labelled patients."""
