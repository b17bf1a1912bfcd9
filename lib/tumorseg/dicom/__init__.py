"""DICOM in: headers, preflight, series -> channels, pixels; the store that viewers browse."""
