"""Architectures, one a file. Inputs and outputs are ``(B, C, H, W)`` or ``(B, C, D, H, W)``."""
