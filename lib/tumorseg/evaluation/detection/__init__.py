"""Models that find objects, measured on annotated pictures."""
