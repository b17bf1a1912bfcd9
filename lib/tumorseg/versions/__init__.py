"""The versions of a model's weights: which there are, what each was made from, which one serves."""
