"""Files in and out: any study -> StudyImage, label maps and overlays -> files."""

from tumorseg.io.read import read_study

__all__ = ["read_study"]
