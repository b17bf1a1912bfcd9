"""One idea a file: a pure function, under a thin MONAI MapTransform where a MONAI pipeline needs it."""
