"""Measurements that a person starts: ``python -m benchmarks.serving``. Nothing here is part of the product."""
