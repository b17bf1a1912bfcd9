"""``tumorseg evaluate``: what is measured follows from what the model is."""

from tumorseg.cli.evaluate.command import evaluate

__all__ = ["evaluate"]
