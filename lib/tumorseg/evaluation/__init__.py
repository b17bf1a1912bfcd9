"""Evaluation: a model over labelled patients, measured, with intervals, beside what others published."""
