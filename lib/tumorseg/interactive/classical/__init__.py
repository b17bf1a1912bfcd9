"""Prompts answered without any weights: appearance learnt from the prompts, and a random walk that respects edges."""
